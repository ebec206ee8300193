//! Scalars with a unit: durations and sizes.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::names::shown;

/// Why a text is not a duration or a size. `Display` is one sentence that says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScalarError(pub String);

/// A length of time as GEP-2257 writes it: `300s`, `1m30s`, `500ms`; one to four parts of `h`, `m`, `s`, `ms`. Zero means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(std::time::Duration);

impl Duration {
    /// No limit.
    pub const ZERO: Self = Self(std::time::Duration::ZERO);

    /// So many seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// The limit, or `None` for zero.
    #[must_use]
    pub fn limit(self) -> Option<std::time::Duration> {
        (!self.0.is_zero()).then_some(self.0)
    }
}

impl FromStr for Duration {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, ScalarError> {
        let fail = || ScalarError(format!("`{}` is not a duration; expected for example `300s`, `1m30s` or `500ms`", shown(text)));
        let (mut rest, mut millis, mut parts) = (text, 0_u64, 0);
        while !rest.is_empty() && parts < 4 {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if !(1..=5).contains(&digits) {
                return Err(fail());
            }
            let count: u64 = rest[..digits].parse().map_err(|_| fail())?;
            rest = &rest[digits..];
            let (unit, length) = match rest.as_bytes() {
                [b'm', b's', ..] => (1, 2),
                [b'h', ..] => (3_600_000, 1),
                [b'm', ..] => (60_000, 1),
                [b's', ..] => (1_000, 1),
                _ => return Err(fail()),
            };
            (millis, rest, parts) = (millis + count * unit, &rest[length..], parts + 1);
        }
        if parts == 0 || !rest.is_empty() { Err(fail()) } else { Ok(Self(std::time::Duration::from_millis(millis))) }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_millis();
        if left == 0 {
            return f.write_str("0s");
        }
        for (unit, name) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")] {
            if left >= unit {
                write!(f, "{}{name}", left / unit)?;
                left %= unit;
            }
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "gep-2257-duration", "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$"})
    }
}

/// A number of bytes, or no limit: `1048576`, `10M` (decimal), `1Gi` (binary), `Unlimited`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteSize {
    /// At most so many bytes.
    Bytes(u64),
    /// No limit.
    Unlimited,
}

impl ByteSize {
    /// The limit in bytes, or `None`.
    #[must_use]
    pub fn limit(self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Unlimited => None,
        }
    }
}

const UNITS: [(&str, u64); 8] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
];

impl FromStr for ByteSize {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, ScalarError> {
        if text == "Unlimited" {
            return Ok(Self::Unlimited);
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let unit = match &text[digits..] {
            "" => Some(1),
            suffix => UNITS.iter().find(|(name, _)| *name == suffix).map(|(_, unit)| *unit),
        };
        let bytes = text[..digits].parse::<u64>().ok().zip(unit).and_then(|(count, unit)| count.checked_mul(unit));
        bytes.map(Self::Bytes).ok_or_else(|| {
            ScalarError(format!("`{}` is not a size; expected for example `1048576`, `10M`, `1Gi` or `Unlimited`", shown(text)))
        })
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bytes(bytes) => serializer.serialize_u64(*bytes),
            Self::Unlimited => serializer.serialize_str("Unlimited"),
        }
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(u64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(bytes) => Ok(Self::Bytes(bytes)),
            Form::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByteSize".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "minimum": 0,
            "maximum": u64::MAX,
            "format": "byte-size",
            "pattern": "^([0-9]+(Ki|Mi|Gi|Ti|k|M|G|T)?|Unlimited)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_gep_2257() {
        for (text, millis) in [("300s", 300_000), ("1m30s", 90_000), ("500ms", 500), ("1h", 3_600_000), ("0s", 0), ("1h1m1s1ms", 3_661_001)]
        {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(duration.0.as_millis(), millis, "{text}");
            assert_eq!(duration.to_string().parse(), Ok(duration), "{text}");
        }
        for bad in ["", "300", "s", "1.5s", "-1s", "1d", "123456s", "1s ", "1h1h1h1h1h"] {
            assert!(bad.parse::<Duration>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        for (text, bytes) in [("0", 0), ("10M", 10_000_000), ("1Gi", 1 << 30), ("8k", 8_000)] {
            assert_eq!(text.parse(), Ok(ByteSize::Bytes(bytes)), "{text}");
        }
        assert_eq!("Unlimited".parse(), Ok(ByteSize::Unlimited));
        for bad in ["", "M", "1m", "-1", "1.5G", "99999999999999999999", "20000000T"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
        }
    }
}
