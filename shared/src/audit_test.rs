use super::*;

fn chain(events: usize) -> Vec<Entry> {
    let mut previous: Hash = [0; 32];
    (1..)
        .take(events)
        .map(|seq| {
            let mut entry = Entry {
                tenant: "0192".to_owned(),
                seq,
                at: Timestamp::from_timestamp_micros(1_790_000_000_123_456 + seq).unwrap(),
                actor: "key".to_owned(),
                key: Some("0193".to_owned()),
                key_name: Some("Ana".to_owned()),
                action: "object.update".to_owned(),
                connection: None,
                object: Some("3".to_owned()),
                details: r#"{"enabled": false}"#.to_owned(),
                previous: previous.to_vec(),
                hash: Vec::new(),
            };
            previous = hash(&previous, &entry);
            entry.hash = previous.to_vec();
            entry
        })
        .collect()
}

fn judge(events: &[Entry], head: &Entry, anchor: Option<&Anchor>) -> Result<i64, Break> {
    let mut chain = Chain::default();
    for entry in events {
        chain.follow(entry, anchor)?;
    }
    chain.end(Some((head.seq, &head.hash)), anchor)?;
    Ok(chain.events())
}

#[test]
fn each_change_of_an_event_is_found_at_its_place() {
    let events = chain(5);
    assert_eq!(judge(&events, &events[4], None), Ok(5));
    let changes: [fn(&mut Entry); 10] = [
        |e| e.tenant.push('x'),
        |e| e.at += chrono::Duration::microseconds(1),
        |e| e.actor = "system".to_owned(),
        |e| e.key = None,
        // What one part loses another gains.
        |e| (e.key, e.key_name) = (Some("0193A".to_owned()), Some("na".to_owned())),
        |e| e.key_name = Some("Bob".to_owned()),
        |e| e.action = "object.create".to_owned(),
        |e| e.connection = Some(String::new()),
        |e| e.object = None,
        |e| e.details = r#"{"enabled": true}"#.to_owned(),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let mut changed = events.clone();
        change(&mut changed[2]);
        assert_eq!(judge(&changed, &events[4], None), Err(Break { seq: 3, what: "changed" }), "{n}");
        // With a hash that fits, the next event does not.
        changed[2].hash = hash(&changed[2].previous, &changed[2]).to_vec();
        assert_eq!(judge(&changed, &events[4], None), Err(Break { seq: 4, what: "unlinked" }), "{n}");
    }
}

#[test]
fn what_is_removed_turned_around_or_cut_off_is_found() {
    let events = chain(5);
    let head = &events[4];
    let mut gap = events.clone();
    gap.remove(2);
    assert_eq!(judge(&gap, head, None), Err(Break { seq: 3, what: "missing" }));
    let mut turned = events.clone();
    turned.swap(1, 2);
    assert_eq!(judge(&turned, head, None), Err(Break { seq: 2, what: "missing" }));
    assert_eq!(judge(&events[..4], head, None), Err(Break { seq: 5, what: "cut_off" }));
    assert_eq!(judge(&[], head, None), Err(Break { seq: 1, what: "cut_off" }));
    assert_eq!(Chain::default().end(None, None), Ok(()));
}

#[test]
fn an_anchor_shows_a_chain_that_was_cut_off_or_written_anew_with_its_head() {
    let events = chain(5);
    let anchor = Anchor { seq: 4, hash: events[3].hash.clone() };
    assert_eq!(judge(&events, &events[4], Some(&anchor)), Ok(5));
    assert_eq!(judge(&events[..3], &events[2], None), Ok(3), "it is whole by itself");
    assert_eq!(judge(&events[..3], &events[2], Some(&anchor)), Err(Break { seq: 4, what: "cut_off" }));
    let other = Anchor { seq: 4, hash: vec![7; 32] };
    assert_eq!(judge(&events, &events[4], Some(&other)), Err(Break { seq: 4, what: "not_the_anchor" }));
}

#[test]
fn actions_have_words_of_their_own() {
    let words: std::collections::BTreeSet<&str> = Action::ALL.iter().map(|action| action.word()).collect();
    assert_eq!(words.len(), Action::ALL.len());
    assert!(words.iter().all(|word| word.split_once('.').is_some()));
}
