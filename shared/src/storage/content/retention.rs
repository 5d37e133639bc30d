//! What a retention policy means for the tickets that are here: how many are of which age, and how many would go.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::job::lease::Kind;
use crate::retention::{Class, CutOffs};
use crate::storage::{Database, StoreError, TenantTx};
use crate::tenant::TenantScope;

/// The bounds of ages that are counted apart, in days.
pub const AGES: [u16; 6] = [7, 30, 90, 180, 365, 3650];

/// How much would go at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WouldGo {
    /// Tickets, with all that belongs to them.
    pub tickets: i64,
    /// Tickets under a hold, the same.
    pub held: i64,
    /// Bodies of files for their own age; those of tickets that go are not counted.
    pub attachments: i64,
}

/// Tickets of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Kept {
    /// `ticket` or `held`.
    pub class: String,
    /// How many are here.
    pub tickets: i64,
    /// By how long ago their last activity was.
    pub by_age: Vec<Aged>,
}

/// Tickets of one age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Aged {
    /// At most so many days, and more than the entry before has; none for all that are older.
    pub up_to_days: Option<u16>,
    /// How many.
    pub tickets: i64,
}

/// What is here, and what would go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// By class.
    pub kept: Vec<Kept>,
    /// What would go.
    pub would_go: WouldGo,
    /// When what is due goes next; none while there is nothing that could.
    pub next_at: Option<Timestamp>,
}

/// Counts what is here at this moment, and what of it is from before the cut-offs.
pub async fn retention_outlook(
    db: &Database,
    scope: &TenantScope,
    cut_offs: CutOffs,
    now: Timestamp,
) -> Result<Outlook, StoreError> {
    const TICKETS: &str = "-- retention_tickets
        SELECT held, last_activity_at < CASE WHEN held THEN $3::timestamptz ELSE $2::timestamptz END AS goes,
               (SELECT count(*) FROM unnest($4::timestamptz[]) AS bound (at) WHERE last_activity_at < bound.at)::int AS age,
               count(*)
          FROM tickets WHERE tenant_id = $1 AND NOT expired AND state < 2 GROUP BY 1, 2, 3";
    const BODIES: &str = "-- retention_bodies
        SELECT count(*) FROM files
         WHERE tenant_id = $1 AND state = 1 AND updated_at < $2
           AND connection_id IN (SELECT connection_id FROM connections WHERE tenant_id = $1)";
    const NEXT: &str = "-- retention_next
        SELECT min(available_at) FROM jobs WHERE tenant_id = $1 AND kind = $2";
    let bounds: Vec<Timestamp> =
        AGES.iter().map(|days| now - chrono::TimeDelta::days(i64::from(*days))).collect();
    let tenant = scope.tenant().0;
    let mut client = db.tenant().await?;
    let tx = TenantTx::begin(&mut client, scope).await?;
    let tickets = tx
        .sql()
        .query(TICKETS, &[&tenant, &cut_offs.ticket, &cut_offs.held, &bounds])
        .await
        .map_err(StoreError::at("retention_tickets"))?;
    let bodies = tx
        .sql()
        .query_one(BODIES, &[&tenant, &cut_offs.body])
        .await
        .map_err(StoreError::at("retention_bodies"))?;
    let next = tx
        .sql()
        .query_one(NEXT, &[&tenant, &Kind::Expire.word()])
        .await
        .map_err(StoreError::at("retention_next"))?;
    tx.commit().await?;

    let counted: Vec<Counted> = tickets
        .iter()
        .map(|row| Counted {
            class: Class::of(row.get(0)),
            goes: row.get(1),
            age: usize::try_from(row.get::<_, i32>(2)).unwrap_or_default(),
            tickets: row.get(3),
        })
        .collect();
    let going = |class| sum(&counted, |one| one.class == class && one.goes);
    Ok(Outlook {
        kept: [Class::Ticket, Class::Held].map(|class| kept(class, &counted)).into(),
        would_go: WouldGo {
            tickets: going(Class::Ticket),
            held: going(Class::Held),
            attachments: bodies.get(0),
        },
        next_at: next.get(0),
    })
}

/// Tickets that are alike in all that matters here.
struct Counted {
    class: Class,
    goes: bool,
    /// How many of the bounds they are past.
    age: usize,
    tickets: i64,
}

fn sum(counted: &[Counted], is: impl Fn(&Counted) -> bool) -> i64 {
    counted.iter().filter(|one| is(one)).map(|one| one.tickets).sum()
}

fn kept(class: Class, counted: &[Counted]) -> Kept {
    let bounds = AGES.iter().copied().map(Some).chain([None]);
    let of_age = |(age, up_to_days)| Aged {
        up_to_days,
        tickets: sum(counted, |one| one.class == class && one.age == age),
    };
    Kept {
        class: class.word().to_owned(),
        tickets: sum(counted, |one| one.class == class),
        by_age: bounds.enumerate().map(of_age).collect(),
    }
}
