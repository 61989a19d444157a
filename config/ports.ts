/** Well-known ports, addresses and ids of a sidecar: shared by the proxy and the capture rules. */
export const ports = {
  outbound: 15001,
  inbound: 15006,
  tunnel: 15008,
  mergedMetrics: 15020,
  health: 15021,
  dns: 15053,
  metrics: 15090,
  admin: 15000,
} as const

/** User and group the proxy runs as; traffic of both is never captured. */
export const proxyId = 1337

/** Source address of deliveries to the application: tells them from the proxy's own calls. */
export const deliverySource = { ipv4: '127.0.0.6', ipv6: '::6' } as const
