# The project's own emulator of Amazon Glacier, run from its sources: Node strips the types.
FROM node:24-slim
WORKDIR /moraine
COPY package.json package-lock.json ./
# No install scripts: they fetch native parts that the emulator does not use.
RUN npm ci --omit=dev --ignore-scripts
COPY src src
COPY infra/glacier-emulator infra/glacier-emulator
RUN mkdir -p /var/lib/glacier && chown node:node /var/lib/glacier
USER node
EXPOSE 4567
CMD ["node", "infra/glacier-emulator/main.ts", "--host", "0.0.0.0", "--port", "4567", "--state", "/var/lib/glacier"]
