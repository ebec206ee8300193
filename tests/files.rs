//! Files as answers, over real connections: byte for byte, whatever becomes of a file or its client on the way.

mod changes;
mod cost;
mod crowd;
mod kept;
mod places;
mod shelf;
