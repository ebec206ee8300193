//! Why a filter did not let a request pass, as a label: a bounded set.

/// Why a filter did not let a request pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldUp {
    /// `RateLimit`: its client has asked too often.
    RateLimit,
    /// `IPAccess`: its client may not ask.
    IpAccess,
    /// `MaxConnections`: as many wait as may.
    QueueFull,
    /// `MaxConnections`: it has waited too long.
    QueueTimeout,
}

impl HeldUp {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::RateLimit, Self::IpAccess, Self::QueueFull, Self::QueueTimeout];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::IpAccess => "ip_access",
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
        }
    }
}
