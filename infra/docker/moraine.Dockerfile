# The daemon (and every other command), run from its sources: Node strips the types.
#
#   docker build --file infra/docker/moraine.Dockerfile --tag moraine .
#   docker run --init --volume /etc/moraine:/etc/moraine:ro --env MORAINE_MONGODB_URL --env MORAINE_REDIS_URL moraine
#   docker run --rm --volume /etc/moraine:/etc/moraine:ro ... moraine check --config /etc/moraine/moraine.yaml
#
# Administrators' identities do not belong in here: archives are opened on an administrator's own machine.
FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /moraine
COPY package.json package-lock.json ./
# No install scripts: they fetch native parts that nothing here needs.
RUN npm ci --omit=dev --ignore-scripts
COPY src src
COPY jobs jobs
COPY infra/local-stack infra/local-stack
COPY policies policies
USER node
ENTRYPOINT ["node", "src/cli/moraine.ts"]
CMD ["worker", "--config", "/etc/moraine/moraine.yaml"]
