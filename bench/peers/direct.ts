import { mainHost, type Peer } from './peer.ts'

/** No proxy at all: what load generator and backend reach by themselves. */
export const direct: Peer = {
  name: 'direct',
  version: () => '',
  start: async (_plan, { backend }) => ({
    name: 'direct',
    port: backend.port,
    sinkPort: backend.sinkPort,
    sinkHost: mainHost,
    program: undefined,
    readyAfterMs: 0,
    stop: async () => {},
  }),
}
