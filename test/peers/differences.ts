/** Every difference from Envoy that is accepted, with its reason: in one place, and shown in docs/envoy.md. */

export const reasons = {
  server: {
    what: 'The `server` field of replies is the application’s; Envoy writes `istio-envoy` over it.',
    why: 'The reply is the application’s.',
  },
  'own-words': {
    what: 'Replies made by the proxy begin with Envoy’s text, then say more; `x-outrider-reason` and `x-outrider-origin` name what decided.',
    why: 'Explaining itself is what Outrider is for.',
  },
  'reason-code': {
    what: 'The response code details of some refusals say what was refused, where Envoy names the mechanism.',
    why: '`unknown_destination` tells more than `direct_response`.',
  },
  'never-tried': {
    what: 'A request for which there was no endpoint counts no attempt; Envoy counts one.',
    why: 'Nothing was tried.',
  },
  'absolute-query': {
    what: 'A target `http://host?query` is the path `/` with that query; Envoy refuses it with 404.',
    why: 'RFC 9112 3.2.1: an empty path is sent as `/`.',
  },
} as const

export type Reason = keyof typeof reasons

/** Reasons for what differs in so many replies that naming it in each behaviour would hide the rest. */
export function everywhereReason(
  path: string,
  outrider: string | undefined,
  envoy: string | undefined,
): Reason | undefined {
  if (/^reply \d+: server$/.test(path) && envoy === 'istio-envoy') return 'server'
  if (/^log \d+: attempts$/.test(path) && outrider === '0' && envoy === '1') return 'never-tried'
  return undefined
}
