//! What a backend did wrong, as a label: a bounded set.

/// What a backend did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its container does not run.
    Unavailable,
    /// There is no socket at its path, or something else.
    SocketNotFound,
    /// Nobody listens.
    ConnectRefused,
    /// lxcproxy may not connect.
    PermissionDenied,
    /// Connecting took too long.
    ConnectTimeout,
    /// Connecting failed for another reason.
    ConnectFailed,
    /// It neither sent nor took a byte for too long.
    IdleTimeout,
    /// The whole transaction took too long.
    RequestTimeout,
    /// It ended the connection before the answer was whole.
    Closed,
    /// What it sent is no answer.
    Protocol,
    /// It took the copy of a request's body too slowly, and did not get all of it.
    CopyBehind,
    /// It did not get the copy of a request: too many were on their way.
    CopyLimit,
}

impl Fault {
    /// Every one.
    pub const ALL: [Self; 12] = [
        Self::Unavailable,
        Self::SocketNotFound,
        Self::ConnectRefused,
        Self::PermissionDenied,
        Self::ConnectTimeout,
        Self::ConnectFailed,
        Self::IdleTimeout,
        Self::RequestTimeout,
        Self::Closed,
        Self::Protocol,
        Self::CopyBehind,
        Self::CopyLimit,
    ];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::SocketNotFound => "socket_not_found",
            Self::ConnectRefused => "connect_refused",
            Self::PermissionDenied => "permission_denied",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectFailed => "connect_failed",
            Self::IdleTimeout => "idle_timeout",
            Self::RequestTimeout => "request_timeout",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
            Self::CopyBehind => "copy_behind",
            Self::CopyLimit => "copy_limit",
        }
    }
}
