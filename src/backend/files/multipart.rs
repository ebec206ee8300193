//! Several ranges of a file -> one body, `multipart/byteranges` (RFC 9110 section 14.6).
//!
//! In: an open file, its parts and its media type. Out: frames, and how many bytes they will have. Never: a boundary that the file could
//! have been made for; more than one part in memory.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body, Frame, SizeHint};

use super::body::body;
use super::range::Part;
use crate::backend::{Error, ResponseBody};
use crate::container::rootfs::Content;

/// Parts of a file, each with a head of its own, one after the other.
#[derive(Debug)]
pub struct MultipartBody {
    file: Arc<Content>,
    parts: std::vec::IntoIter<(Part, Bytes)>,
    /// What is left of the part in hand.
    part: ResponseBody,
    /// What stands behind the last part.
    end: Bytes,
    left: u64,
}

impl MultipartBody {
    /// The parts of a file of `size` bytes, in their order, and the `Content-Type` of the whole.
    pub(super) fn new(file: Arc<Content>, size: u64, parts: &[Part], content_type: &HeaderValue) -> (Self, String) {
        // As nginx writes it: 20 digits. Other for each answer, so that no file holds it but by chance.
        let boundary = format!("{:020}", RandomState::new().build_hasher().finish());
        let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        let parts: Vec<(Part, Bytes)> = parts.iter().map(|part| (*part, head(*part, size, &boundary, content_type))).collect();
        let left =
            parts.iter().map(|(part, head)| part.length().saturating_add(head.len() as u64)).fold(end.len() as u64, u64::saturating_add);
        (
            Self { file, parts: parts.into_iter(), part: ResponseBody::Empty, end, left },
            format!("multipart/byteranges; boundary={boundary}"),
        )
    }

    /// The next head, with what follows it made ready; then the end.
    fn next(&mut self) -> Result<Bytes, Error> {
        let Some((part, head)) = self.parts.next() else { return Ok(std::mem::take(&mut self.end)) };
        self.part = body(self.file.clone(), part.first, part.length())?;
        Ok(head)
    }
}

/// What stands before a part: the boundary on a line of its own, and fields.
fn head(part: Part, size: u64, boundary: &str, content_type: &HeaderValue) -> Bytes {
    let (Part { first, last }, content_type) = (part, content_type.as_bytes());
    let before = format!("\r\n--{boundary}\r\nContent-Type: ");
    let after = format!("\r\nContent-Range: bytes {first}-{last}/{size}\r\n\r\n");
    [before.as_bytes(), content_type, after.as_bytes()].concat().into()
}

impl Body for MultipartBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let frame = match Pin::new(&mut this.part).poll_frame(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(frame)) => frame,
            Poll::Ready(None) => this.next().map(Frame::data),
        };
        let sent = frame.as_ref().ok().and_then(Frame::data_ref).map(|data| data.len() as u64);
        this.left = sent.map_or(0, |sent| this.left.saturating_sub(sent));
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::super::fixture::Tree;
    use super::*;

    const TYPE: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

    fn parts(of: &[(u64, u64)]) -> Vec<Part> {
        of.iter().map(|&(first, last)| Part { first, last }).collect()
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn each_part_has_its_head_and_the_length_is_known_to_the_byte() {
        let content: Vec<u8> = (0..300_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let tree = Tree::new(&[]);
        tree.write("a", &content);
        let wanted = [(299_999, 299_999), (0, 0), (7, 200_006), (1, 2)];
        let (body, content_type) = MultipartBody::new(Content::from(tree.open("a")).into(), 300_000, &parts(&wanted), &TYPE);
        let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap().to_owned();
        assert!(boundary.len() == 20 && boundary.bytes().all(|byte| byte.is_ascii_digit()), "{boundary}");
        let announced = body.size_hint().exact().unwrap();
        let mut expected = Vec::new();
        for (first, last) in wanted {
            let head = format!(
                "\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes {first}-{last}/300000\r\n\r\n"
            );
            expected.extend_from_slice(head.as_bytes());
            expected.extend_from_slice(&content[usize::try_from(first).unwrap()..=usize::try_from(last).unwrap()]);
        }
        expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        assert_eq!(announced, expected.len() as u64);
        let sent = run(async { body.collect().await.unwrap().to_bytes() });
        assert!(sent == expected, "{} bytes of {}", sent.len(), expected.len());
    }

    #[test]
    fn no_two_answers_have_the_same_boundary() {
        let tree = Tree::new(&[("a", "0123456789")]);
        let of = || MultipartBody::new(Content::from(tree.open("a")).into(), 10, &parts(&[(0, 1), (3, 4)]), &TYPE).1;
        assert_ne!(of(), of());
    }

    #[test]
    fn a_file_that_shrinks_breaks_off_and_one_that_grows_sends_what_was_announced() {
        let tree = Tree::new(&[]);
        tree.write("a", "x".repeat(300_000).as_bytes());
        run(async {
            let made = || MultipartBody::new(Content::from(tree.open("a")).into(), 300_000, &parts(&[(0, 9), (100_000, 299_999)]), &TYPE).0;
            let grown = made();
            tree.write("a", "x".repeat(400_000).as_bytes());
            let announced = grown.size_hint().exact().unwrap();
            assert_eq!(grown.collect().await.unwrap().to_bytes().len() as u64, announced);
            let mut shrunk = made();
            tree.open("a").set_len(150_000).unwrap();
            let error = loop {
                match shrunk.frame().await.expect("an error before the end") {
                    Ok(_) => assert!(!shrunk.is_end_stream()),
                    Err(error) => break error,
                }
            };
            assert!(matches!(&error, Error::File(source) if source.kind() == std::io::ErrorKind::UnexpectedEof), "{error:?}");
            assert!(shrunk.is_end_stream() && shrunk.frame().await.is_none());
        });
    }
}
