/**
 * Everything that can be wrong with an HTTP/1 message, as numbers that hot code can return, and what
 * each means for people: error code, stable detail, one sentence. Stands for both sides; a fault of a
 * reply always becomes UpstreamProtocol.
 */
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'

/** Returned by scanners beside offsets (≥ 0): more bytes are needed. Faults are all below it. */
export const incomplete = -1

export const Fault = {
  InvalidMethod: -2,
  InvalidTarget: -3,
  TargetForm: -4,
  TargetTooLong: -5,
  RequestLine: -6,
  UnsupportedVersion: -7,
  BareLf: -8,
  BareCr: -9,
  Folded: -10,
  InvalidName: -11,
  SpaceBeforeColon: -12,
  MissingColon: -13,
  InvalidValue: -14,
  TooManyHeaders: -15,
  HeadTooLarge: -16,
  StatusLine: -17,
  HostMissing: -18,
  HostRepeated: -19,
  HostInvalid: -20,
  LengthInvalid: -21,
  LengthRepeated: -22,
  LengthAndEncoding: -23,
  EncodingUnsupported: -24,
  EncodingVersion: -25,
  ConnectBody: -26,
  ConnectionList: -27,
  TeTooLong: -28,
  ChunkSize: -29,
  ChunkExtension: -30,
  ChunkEnd: -31,
  TrailersTooLarge: -32,
  TooManyTrailers: -33,
  HeadIncomplete: -34,
  BodyIncomplete: -35,
  HeadTimeout: -36,
  BodyTimeout: -37,
  BodilessFraming: -38,
  SwitchUnasked: -39,
  TooManyInterim: -40,
  Unsolicited: -41,
  ReplyStalled: -42,
  BodyNotTaken: -43,
} as const
export type Fault = (typeof Fault)[keyof typeof Fault]

type Row = readonly [code: ErrorCode, detail: string, sentence: string]

const { BadRequest } = ErrorCode

const rows: Record<Fault, Row> = {
  [Fault.InvalidMethod]: [
    BadRequest,
    'http1.invalid_method',
    'The request does not begin with a method, or the method has a byte that no method may have.',
  ],
  [Fault.InvalidTarget]: [
    BadRequest,
    'http1.invalid_url',
    'The request target holds a byte that no URL may have; it must be percent-encoded.',
  ],
  [Fault.TargetForm]: [
    BadRequest,
    'http1.invalid_url',
    'The request target is none of: /path, http://host/path, host:port (CONNECT only), * (OPTIONS only).',
  ],
  [Fault.TargetTooLong]: [
    ErrorCode.UriTooLong,
    'http1.uri_too_long',
    'The request line is longer than the limit for a whole head.',
  ],
  [Fault.RequestLine]: [
    BadRequest,
    'http1.invalid_request_line',
    'The request line is not: method, space, target, space, HTTP/1.1, CR LF.',
  ],
  [Fault.UnsupportedVersion]: [
    ErrorCode.UnsupportedVersion,
    'http1.unsupported_version',
    'Only HTTP/1.0 and HTTP/1.1 are spoken in this form; HTTP/2 begins with its own preface.',
  ],
  [Fault.BareLf]: [
    BadRequest,
    'http1.bare_line_feed',
    'A line ends with LF alone; every line must end with CR LF.',
  ],
  [Fault.BareCr]: [
    BadRequest,
    'http1.bare_carriage_return',
    'A CR is not followed by LF; every line must end with CR LF.',
  ],
  [Fault.Folded]: [
    BadRequest,
    'http1.folded_header',
    'A header line begins with a space or tab: line folding is obsolete and refused.',
  ],
  [Fault.InvalidName]: [
    BadRequest,
    'http1.invalid_header_name',
    'A header name is empty or holds a byte that no name may have.',
  ],
  [Fault.SpaceBeforeColon]: [
    BadRequest,
    'http1.space_before_colon',
    'There is white space between a header name and its colon.',
  ],
  [Fault.MissingColon]: [BadRequest, 'http1.missing_colon', 'A header line has no colon.'],
  [Fault.InvalidValue]: [
    BadRequest,
    'http1.invalid_characters',
    'A header value holds a control character.',
  ],
  [Fault.TooManyHeaders]: [
    ErrorCode.TooManyHeaders,
    'http1.too_many_headers',
    'The head has more header lines than the limit.',
  ],
  [Fault.HeadTooLarge]: [
    ErrorCode.HeadersTooLarge,
    'http1.headers_too_large',
    'The head is longer than the limit.',
  ],
  [Fault.StatusLine]: [
    BadRequest,
    'http1.invalid_status_line',
    'The reply does not begin with: HTTP/1.1, space, three digits, space.',
  ],
  [Fault.HostMissing]: [
    BadRequest,
    'missing_host_header',
    'An HTTP/1.1 request must name its host in a Host header.',
  ],
  [Fault.HostRepeated]: [
    BadRequest,
    'http1.repeated_host',
    'There are two Host headers; there must be one.',
  ],
  [Fault.HostInvalid]: [
    BadRequest,
    'http1.invalid_host',
    'The host is not a name or address with an optional port.',
  ],
  [Fault.LengthInvalid]: [
    BadRequest,
    'http1.invalid_content_length',
    'Content-Length is not a plain decimal number of at most 15 digits.',
  ],
  [Fault.LengthRepeated]: [
    BadRequest,
    'http1.repeated_content_length',
    'There is more than one Content-Length.',
  ],
  [Fault.LengthAndEncoding]: [
    BadRequest,
    'http1.content_length_and_chunked_not_allowed',
    'Content-Length and Transfer-Encoding exclude each other.',
  ],
  [Fault.EncodingUnsupported]: [
    ErrorCode.UnsupportedTransferEncoding,
    'http1.invalid_transfer_encoding',
    'The only Transfer-Encoding spoken is: chunked.',
  ],
  [Fault.EncodingVersion]: [
    BadRequest,
    'http1.transfer_encoding_in_http10',
    'HTTP/1.0 knows no Transfer-Encoding, so the end of this message is uncertain.',
  ],
  [Fault.ConnectBody]: [
    BadRequest,
    'http1.connect_with_body',
    'A CONNECT request cannot have a body.',
  ],
  [Fault.ConnectionList]: [
    BadRequest,
    'http1.connection_header_rejected',
    'The Connection header names too many headers, or one that it must not remove.',
  ],
  [Fault.TeTooLong]: [
    BadRequest,
    'http1.connection_header_rejected',
    'The TE header is longer than 255 bytes.',
  ],
  [Fault.ChunkSize]: [
    BadRequest,
    'http1.invalid_chunk_size',
    'A chunk does not begin with its size in hexadecimal, or the size is absurd.',
  ],
  [Fault.ChunkExtension]: [
    BadRequest,
    'http1.invalid_chunk_extension',
    'What follows a chunk size is not an extension, or is too long, or does not end with CR LF.',
  ],
  [Fault.ChunkEnd]: [
    BadRequest,
    'http1.invalid_chunk_end',
    'The bytes of a chunk are not followed by CR LF.',
  ],
  [Fault.TrailersTooLarge]: [
    ErrorCode.HeadersTooLarge,
    'http1.trailers_too_large',
    'The trailers are longer than the limit.',
  ],
  [Fault.TooManyTrailers]: [
    ErrorCode.TooManyHeaders,
    'http1.too_many_trailers',
    'There are more trailers than the limit.',
  ],
  [Fault.HeadIncomplete]: [
    BadRequest,
    'http1.incomplete_head',
    'The connection was ended inside a head.',
  ],
  [Fault.BodyIncomplete]: [
    BadRequest,
    'http1.incomplete_body',
    'The connection was ended inside a body.',
  ],
  [Fault.HeadTimeout]: [
    ErrorCode.RequestHeaderTimeout,
    'request_header_timeout',
    'The request head did not arrive in time.',
  ],
  [Fault.BodyTimeout]: [
    ErrorCode.RequestTimeout,
    'stream_idle_timeout',
    'The request body stopped arriving.',
  ],
  [Fault.BodilessFraming]: [
    BadRequest,
    'http1.framing_without_body',
    'A 1xx or 204 reply declares a body.',
  ],
  [Fault.SwitchUnasked]: [
    BadRequest,
    'http1.unasked_switch',
    'The reply switches protocols though nobody asked for it.',
  ],
  [Fault.TooManyInterim]: [
    BadRequest,
    'http1.too_many_interim_replies',
    'There are too many 1xx replies before the final one.',
  ],
  [Fault.ReplyStalled]: [
    ErrorCode.StreamIdle,
    'stream_idle_timeout',
    'The client stopped reading its reply.',
  ],
  [Fault.BodyNotTaken]: [
    ErrorCode.StreamIdle,
    'stream_idle_timeout',
    'The upstream stopped taking the request body.',
  ],
  [Fault.Unsolicited]: [
    BadRequest,
    'http1.unsolicited_reply',
    'The upstream sent bytes though no request was open.',
  ],
}

/** The failure of a client that sent something at fault. */
export function requestError(fault: Fault): ProxyError {
  const [code, detail, message] = rows[fault]
  return new ProxyError(code, Side.Downstream, { detail, message })
}

/** The failure of an upstream that sent something at fault. */
export function replyError(fault: Fault): ProxyError {
  const [, detail, message] = rows[fault]
  return new ProxyError(ErrorCode.UpstreamProtocol, Side.Upstream, { detail, message })
}
