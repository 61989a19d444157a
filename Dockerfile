# The sidecar's image. The same image captures traffic when it runs first as root with NET_ADMIN:
#   docker run --rm --cap-add NET_ADMIN --user 0 --network container:app outrider iptables apply
FROM docker.io/library/node:26-bookworm-slim AS build
WORKDIR /outrider
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json LICENSE ./
COPY proxy proxy
COPY config config
COPY iptables iptables
COPY examples examples
# What stays is what runs: no tools to build with, and no second Node beside the image's own.
RUN node proxy/build.ts \
 && npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
 && rm -rf node_modules/node-linux-* node_modules/.package-lock.json

FROM docker.io/library/node:26-bookworm-slim
LABEL org.opencontainers.image.title="outrider" \
      org.opencontainers.image.description="A sidecar proxy that follows Istio YAML from a folder" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update \
 && apt-get install -y --no-install-recommends iptables \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log
WORKDIR /outrider
COPY --from=build /outrider/package.json /outrider/LICENSE ./
COPY --from=build /outrider/node_modules node_modules
COPY --from=build /outrider/dist dist
# Each malloc arena keeps what its threads gave back: two are enough (the launcher does the same).
ENV NODE_ENV=production OUTRIDER_CONFIG=/etc/outrider MALLOC_ARENA_MAX=2
# The number capture leaves alone (config/ports.ts): the proxy's own connections are not sent back to it.
USER 1337:1337
EXPOSE 15001 15006 15021 15090
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:15021/healthz/ready').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/outrider/dist/proxy/main.js"]
CMD ["run"]
