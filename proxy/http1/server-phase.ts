/** Where the connection of a client stands: what its next bytes are. */
export const Phase = {
  /** Between requests, or inside a head. */
  Head: 0,
  /** The request body is arriving; the reply may have begun. */
  Body: 1,
  /** The request is complete, its reply is not. */
  Reply: 2,
  Tunnel: 3,
  /** FIN sent; what still comes is dropped, so that the client can read the reply. */
  Linger: 4,
  Closed: 5,
} as const
export type Phase = (typeof Phase)[keyof typeof Phase]
