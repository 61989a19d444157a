/** gRPC status codes as the HTTP statuses that mean the same (Envoy's grpcToHttpStatus). */

const httpStatuses = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
] as const

export function httpStatusOf(grpcStatus: string): number {
  return httpStatuses[Number(grpcStatus)] ?? 500
}
