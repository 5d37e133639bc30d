//! Sockets: accept, shake hands, serve until told to stop.

use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::front::Entrance;
use super::tls::{Greeting, Tls, TlsFault};
use super::wire::{Hand, Wire};
use super::{World, front};

/// What a listener speaks.
#[derive(Clone, Debug)]
pub enum Speech {
    /// Plain HTTP.
    Plain,
    /// HTTPS, as well as the main address does now.
    Tls(Arc<Tls>),
    /// HTTPS with something wrong for good.
    Faulty(Arc<Tls>, TlsFault),
}

/// Serves a listener in a task of its own. Aborting the task closes its connections.
pub fn spawn(listener: TcpListener, speech: Speech, door: usize, world: Arc<World>) -> JoinHandle<()> {
    tokio::spawn(async move {
        // Dropped with this task, and then every connection is.
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, _)) => {
                        _ = socket.set_nodelay(true);
                        connections.spawn(connection(socket, speech.clone(), door, Arc::clone(&world)));
                    }
                    Err(error) => {
                        // Out of file descriptors, most likely: existing connections may end meanwhile.
                        tracing::warn!(%error, "could not accept a connection");
                        tokio::task::yield_now().await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
    })
}

async fn connection(mut socket: TcpStream, speech: Speech, door: usize, world: Arc<World>) {
    let greeting = match &speech {
        Speech::Plain => return serve(socket, Entrance { secure: false, door }, world).await,
        Speech::Tls(tls) => tls.greeting(world.clock.now_ms()),
        Speech::Faulty(tls, fault) => match tls.faulty_greeting(*fault) {
            Ok(greeting) => greeting,
            Err(error) => return tracing::error!(%error, "could not make a faulty certificate"),
        },
    };
    match greeting {
        Greeting::Handshake(acceptor) => match acceptor.accept(socket).await {
            Ok(stream) => serve(stream, Entrance { secure: true, door }, world).await,
            Err(error) => tracing::debug!(%error, "a client did not finish the TLS handshake"),
        },
        Greeting::Bytes(bytes) => {
            // Whatever the client says first is read, so that closing does not destroy the answer.
            let mut hello = [0; 4_096];
            _ = socket.read(&mut hello).await;
            _ = socket.write_all(bytes).await;
            _ = socket.shutdown().await;
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, entrance: Entrance, world: Arc<World>) {
    let hand = Hand::default();
    let stream = Wire::new(stream, hand.clone());
    let service =
        service_fn(move |request| front::serve(Arc::clone(&world), entrance, hand.clone(), request));
    let served = http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(1 << 20)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}
