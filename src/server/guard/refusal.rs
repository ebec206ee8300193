//! Why a message is refused -> the status that says so.

use http::StatusCode;

/// Why a message is refused. Its connection is closed then: nobody knows where the next one would begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// RFC 9112 section 3: one space each, then CRLF. HTTP/0.9 has no version.
    #[error("the request line is not `METHOD TARGET VERSION`")]
    Line,
    /// RFC 9112 section 3.2: a form that does not go with the method, or a byte that has no place in a URI.
    #[error("the target is invalid")]
    Target,
    /// RFC 9110 section 15.5.15.
    #[error("the request line is too long")]
    LineTooLong,
    /// RFC 9110 section 15.6.6; HTTP/2 without TLS among them.
    #[error("the version of HTTP is not supported")]
    Version,
    /// RFC 9110 section 9.3.6: for forward proxies.
    #[error("CONNECT is not implemented")]
    Connect,
    /// RFC 6585 section 5: bytes.
    #[error("the head is too large")]
    HeadTooLarge,
    /// RFC 6585 section 5: fields.
    #[error("the head has too many fields")]
    TooManyFields,
    /// RFC 9112 section 5.1: no token, or white space before the colon.
    #[error("the name of a field is invalid")]
    Name,
    /// RFC 9110 section 5.5: a control byte, or a line that does not end in CRLF.
    #[error("the value of a field is invalid")]
    Value,
    /// RFC 9112 section 5.2.
    #[error("a field goes on in a second line")]
    Folded,
    /// RFC 9112 section 3.2: missing, repeated, or no host.
    #[error("the Host field is missing, repeated or invalid")]
    Host,
    /// RFC 9112 section 3.2.2: one of the two would be ignored.
    #[error("the Host field and the request line disagree")]
    Hosts,
    /// RFC 9110 section 8.6: repeated, or anything but digits.
    #[error("the Content-Length field is repeated or invalid")]
    Length,
    /// RFC 9112 section 6.1: two lengths.
    #[error("there are both Content-Length and Transfer-Encoding")]
    TwoLengths,
    /// RFC 9112 section 6.1: repeated, `chunked` not last, or in HTTP/1.0.
    #[error("the Transfer-Encoding field is repeated or invalid")]
    TransferEncoding,
    /// RFC 9112 section 6.1: a coding that is not `chunked`.
    #[error("the transfer coding is not implemented")]
    Coding,
    /// RFC 9110 section 10.1.1: something else than `100-continue`.
    #[error("the expectation can't be met")]
    Expectation,
    /// RFC 9112 section 7.1.
    #[error("a chunk is malformed")]
    Chunk,
    /// RFC 9112 section 7.1.1.
    #[error("the extensions of chunks are too long")]
    Extensions,
    /// RFC 9112 section 7.1.2: too many, or too long.
    #[error("the trailers are too large")]
    Trailers,
}

impl Refusal {
    /// The status of the answer.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Line
            | Self::Target
            | Self::Name
            | Self::Value
            | Self::Folded
            | Self::Host
            | Self::Hosts
            | Self::Length
            | Self::TwoLengths
            | Self::TransferEncoding
            | Self::Chunk
            | Self::Extensions
            | Self::Trailers => StatusCode::BAD_REQUEST,
            Self::LineTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge | Self::TooManyFields => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::Connect | Self::Coding => StatusCode::NOT_IMPLEMENTED,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        }
    }
}
