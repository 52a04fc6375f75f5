# The project's own emulator of Amazon Glacier, run from its sources: Node strips the types.
#   docker build --file infra/docker/glacier-emulator.Dockerfile --tag glacier-emulator .
#   docker run --publish 127.0.0.1:4567:4567 --volume glacier:/var/lib/glacier glacier-emulator [options of its README]
FROM node:24-slim
WORKDIR /emulator
COPY package.json package-lock.json ./
# No install scripts: they fetch native parts that the emulator does not use.
RUN npm ci --omit=dev --ignore-scripts
COPY infra/glacier-emulator infra/glacier-emulator
RUN mkdir -p /var/lib/glacier && chown node:node /var/lib/glacier
USER node
EXPOSE 4567
VOLUME /var/lib/glacier
HEALTHCHECK --interval=5s --timeout=5s --start-period=10s \
  CMD ["node", "--eval", "fetch('http://localhost:4567/_emulator/health').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# An option that is given again at the end wins.
ENTRYPOINT ["node", "infra/glacier-emulator/main.ts", "--host", "0.0.0.0", "--port", "4567", "--state", "/var/lib/glacier"]
