//! Sockets: accept, shake hands, serve until told to stop.

use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::wire::{Hand, Wire};
use super::{World, front};

/// Serves a listener in a task of its own. Aborting the task closes its connections.
pub fn spawn(listener: TcpListener, tls: Option<TlsAcceptor>, world: Arc<World>) -> JoinHandle<()> {
    tokio::spawn(async move {
        // Dropped with this task, and then every connection is.
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, _)) => {
                        _ = socket.set_nodelay(true);
                        connections.spawn(connection(socket, tls.clone(), Arc::clone(&world)));
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

async fn connection(socket: tokio::net::TcpStream, tls: Option<TlsAcceptor>, world: Arc<World>) {
    match tls {
        None => serve(socket, false, world).await,
        Some(tls) => match tls.accept(socket).await {
            Ok(stream) => serve(stream, true, world).await,
            Err(error) => tracing::debug!(%error, "a client did not finish the TLS handshake"),
        },
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, secure: bool, world: Arc<World>) {
    let hand = Hand::default();
    let stream = Wire::new(stream, hand.clone());
    let service = service_fn(move |request| front::serve(Arc::clone(&world), secure, hand.clone(), request));
    let served = http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(1 << 20)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}
