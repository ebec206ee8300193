//! Answers of the API -> the few fields that matter.
//!
//! In: bytes. Out: type and state of an instance, its pool, its init. Never: a trust in a field's form.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// `GET /1.0/instances/NAME`.
#[derive(Debug, Deserialize)]
pub(super) struct About {
    /// `container` or `virtual-machine`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Whether it runs.
    #[serde(rename = "status_code")]
    pub(super) state: StatusCode,
    /// Its devices, with those of its profiles.
    #[serde(default)]
    expanded_devices: HashMap<String, HashMap<String, String>>,
}

/// `GET /1.0/instances/NAME/state`.
#[derive(Debug, Deserialize)]
pub(super) struct State {
    status_code: StatusCode,
    /// 0 or less: there is none.
    #[serde(default)]
    pid: i64,
}

/// `GET /1.0/storage-pools/POOL`.
#[derive(Debug, Deserialize)]
pub(super) struct Pool {
    /// `dir`, `btrfs`, `zfs`, `lvm`, `ceph`...
    pub(super) driver: String,
}

/// A state of an instance, as a number (`shared/api/status_code.go`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct StatusCode(u16);

/// What every answer is wrapped in.
#[derive(Deserialize)]
struct Answer<T> {
    metadata: T,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl About {
    /// The storage pool that its root is in: that of the disk at `/`, whatever the device is called.
    pub(super) fn pool(&self) -> Option<&str> {
        let is_root = |device: &&HashMap<String, String>| {
            let is = |key, value| device.get(key).is_some_and(|found| found == value);
            is("type", "disk") && is("path", "/")
        };
        let pool = self.expanded_devices.values().find(is_root)?.get("pool")?.as_str();
        // It becomes a segment of a path.
        (!matches!(pool, "" | "." | "..") && !pool.contains(['/', '\0'])).then_some(pool)
    }
}

impl State {
    /// The pid of its init.
    pub(super) fn init(&self) -> Option<u32> {
        u32::try_from(self.pid).ok().filter(|&pid| pid > 0 && self.status_code.has_init())
    }
}

impl StatusCode {
    /// Running, Freezing, Frozen, Thawed, Ready. While it starts its init may still have the host's root; while it stops it is about to go.
    pub(super) fn has_init(self) -> bool {
        matches!(self.0, 103 | 109 | 110 | 111 | 113)
    }
}

/// What an answer is about.
pub(super) fn metadata<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    Ok(serde_json::from_slice::<Answer<T>>(body)?.metadata)
}

/// Why there is none, in the daemon's words.
pub(super) fn refusal(body: &[u8]) -> String {
    let said = serde_json::from_slice::<Refusal>(body).map(|refusal| refusal.error);
    said.unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned())
}
