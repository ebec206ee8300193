//! Why a connection was closed before it could ask, as a label: a bounded set.

/// Why a connection was closed before it could ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAway {
    /// Its client has as many as one may have.
    ClientLimit,
    /// It began with no header of the PROXY protocol, where one is needed.
    ProxyHeader,
    /// It came from none of the proxies that may connect there.
    UntrustedProxy,
}

impl TurnedAway {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::ClientLimit, Self::ProxyHeader, Self::UntrustedProxy];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientLimit => "client_limit",
            Self::ProxyHeader => "proxy_header",
            Self::UntrustedProxy => "untrusted_proxy",
        }
    }
}
