//! What this machine can do at most, in the same run and with the same data.
//!
//! [`pages`] is the bare client: the same queries over the same TLS connection, every field into a text column of a
//! table with a primary key, by plain `COPY`. [`bytes`] copies what our tables hold after a load into fresh copies
//! of them, with all their indexes. Neither seals, counts, projects, checks or remembers anything.

pub(crate) mod bytes;
pub(crate) mod pages;
mod row;

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use demo::stack::Installation;
use futures_util::future::try_join_all;
use tokio_postgres::{Client, NoTls};

/// A connection of our own, as the database's owner.
pub(crate) async fn connect(installation: &Installation) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(&installation.database_url, NoTls)
        .await
        .context("connect to the database")?;
    // It ends with the client, and every statement reports a connection that broke.
    tokio::spawn(connection);
    Ok(client)
}

/// Runs `work` on every item, as many at once as there are streams, and gives the sum of what it gave.
async fn in_streams<T, F>(items: Vec<T>, streams: u32, work: F) -> anyhow::Result<Sum>
where
    F: AsyncFn(T) -> anyhow::Result<Sum>,
{
    let queue = Mutex::new(VecDeque::from(items));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let stream = async || {
        let mut sum = Sum::default();
        while let Some(item) = next() {
            sum.add(work(item).await?);
        }
        anyhow::Ok(sum)
    };
    let sums = try_join_all((0..streams).map(|_| stream())).await?;
    let mut total = Sum::default();
    for sum in sums {
        total.add(sum);
    }
    Ok(total)
}

/// What went through a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    /// Rows.
    pub(crate) rows: u64,
    /// Bytes: of unpacked pages, or of rows in PostgreSQL's binary form.
    pub(crate) bytes: u64,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.bytes += other.bytes;
    }
}
