//! `Compression` -> content codings, media types, a size.

use crate::api::v1;
use crate::compile::{Error, error};
use crate::route::Compression;
use crate::route::media::MediaRangeError;

pub(super) fn compression(written: &v1::Compression, field: &str) -> Result<Compression, Error> {
    let types = written.types.iter().map(|text| text.parse().map_err(|cause: MediaRangeError| error(field, cause.to_string())));
    let codings = written.algorithms.iter().map(|&algorithm| algorithm.into());
    let minimum = written.minimum_size.limit().ok_or_else(|| error(field, "`minimumSize` is without a limit"))?;
    Ok(Compression { codings: codings.collect(), types: types.collect::<Result<_, _>>()?, minimum })
}
