//! The socket under an HTTP connection, with a hand that can write something else than HTTP.
//!
//! An HTTP library refuses to send broken HTTP, so broken answers go past it: once a [`Script`] is set, the
//! connection writes that instead of everything the library wants to write from then on, and then closes.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// One thing to do with a socket.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Write these bytes.
    Write(Bytes),
    /// Write these bytes, so many at a time with a pause between.
    Trickle(Bytes, usize, Duration),
    /// Write these bytes again and again, until the client has had enough.
    WriteForEver(Bytes),
}

/// What a connection writes instead of HTTP.
pub(super) type Script = VecDeque<Act>;

/// The hand: shared by a connection's socket and its requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Hand(Arc<Mutex<Option<Script>>>);

impl Hand {
    /// Takes over the connection.
    pub(super) fn take_over(&self, script: Script) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(script);
    }

    fn script(&self) -> Option<Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Header names that the platform spells in a way of its own.
const SPELLINGS: [&str; 3] = ["\r\nETag:", "\r\nWWW-Authenticate:", "\r\nSforce-NumberOfRecords:"];

/// The start of an answer with its header names as the platform spells them, where that differs.
fn respelled(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.starts_with(b"HTTP/1.1 ") {
        return None;
    }
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let mut spelled: Option<Vec<u8>> = None;
    for name in SPELLINGS.map(str::as_bytes) {
        let place = bytes[..end].windows(name.len()).position(|part| part.eq_ignore_ascii_case(name));
        if let Some(at) = place {
            spelled.get_or_insert_with(|| bytes.to_vec())[at..at + name.len()].copy_from_slice(name);
        }
    }
    spelled
}

/// A socket with a hand.
#[derive(Debug)]
pub(super) struct Wire<S> {
    socket: S,
    hand: Hand,
    script: Option<Script>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Wire<S> {
    /// A socket that obeys a hand.
    pub(super) fn new(socket: S, hand: Hand) -> Self {
        Self { socket, hand, script: None, pause: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Plays the script to its end.
    fn poll_script(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(script) = &mut self.script else {
            return Poll::Ready(Ok(()));
        };
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            let Some(act) = script.front_mut() else {
                return Poll::Ready(Ok(()));
            };
            let done = match act {
                Act::Write(bytes) => {
                    let written = ready!(Pin::new(&mut self.socket).poll_write(context, bytes))?;
                    bytes.advance(written);
                    bytes.is_empty()
                }
                Act::Trickle(bytes, size, pause) => {
                    let part = bytes.len().min((*size).max(1));
                    let written = ready!(Pin::new(&mut self.socket).poll_write(context, &bytes[..part]))?;
                    // A TLS stream holds small writes back until it is flushed.
                    ready!(Pin::new(&mut self.socket).poll_flush(context))?;
                    bytes.advance(written);
                    self.pause = Some(Box::pin(tokio::time::sleep(*pause)));
                    bytes.is_empty()
                }
                Act::WriteForEver(bytes) => {
                    ready!(Pin::new(&mut self.socket).poll_write(context, bytes))?;
                    false
                }
            };
            if done {
                script.pop_front();
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.script.is_none() {
            this.script = this.hand.script();
        }
        if this.script.is_none() {
            return match respelled(bytes) {
                Some(bytes) => Pin::new(&mut this.socket).poll_write(context, &bytes),
                None => Pin::new(&mut this.socket).poll_write(context, bytes),
            };
        }
        ready!(this.poll_script(context))?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
