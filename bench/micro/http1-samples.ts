/** Messages as applications send them, for the HTTP/1 benches. */

/** 10 fields, 437 bytes. */
export const requestHead = Buffer.from(
  'GET /api/v1/products/42/reviews?page=2 HTTP/1.1\r\n' +
    'Host: reviews:9080\r\n' +
    'User-Agent: python-requests/2.31.0\r\n' +
    'Accept-Encoding: gzip, deflate\r\n' +
    'Accept: application/json\r\n' +
    'Connection: keep-alive\r\n' +
    'x-request-id: 5c2d4a1e-8e5f-4b7e-9a57-0f0c6a3f8b11\r\n' +
    'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n' +
    'end-user: jason\r\n' +
    'Cookie: session=eyJ1c2VyIjoiamFzb24ifQ.Z1x2y3\r\n' +
    'x-forwarded-proto: http\r\n\r\n',
  'latin1',
)

/** 9 fields, 100 bytes of body. */
export const reply = Buffer.from(
  'HTTP/1.1 200 OK\r\n' +
    'content-type: application/json; charset=utf-8\r\n' +
    'content-length: 100\r\n' +
    'date: Tue, 14 Oct 2025 10:00:00 GMT\r\n' +
    'server: reviews\r\n' +
    'cache-control: no-store\r\n' +
    'etag: W/"64-abc123def456"\r\n' +
    'vary: Accept-Encoding\r\n' +
    'x-powered-by: Servlet/3.1\r\n' +
    'x-request-id: 5c2d4a1e-8e5f-4b7e-9a57-0f0c6a3f8b11\r\n\r\n' +
    'x'.repeat(100),
  'latin1',
)
