//! Random changes of an answer's structure: thousands of malformed answers from one seed.

use super::Answer;
use super::tree::Tree;
use crate::generate::random::Random;

/// Values that take the place of another: each has broken some client.
const STRANGERS: [&str; 16] = [
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1e400",
    "-0.0",
    "99999999999999999999999999",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"2026-02-30T25:61:00.000+0000\"",
    "[]",
    "{}",
    "[[[[[[[[{}]]]]]]]]",
    "{\"attributes\":{\"type\":null}}",
];

/// Changes one random place of the answer. Equal seeds and hits give equal changes.
pub(super) fn mutate(answer: &mut Answer, seed: u64, hit: u64) {
    let Some(truth) = Tree::parse(&answer.body) else {
        return;
    };
    let mut random = Random::new(seed.wrapping_mul(0x1_0001).wrapping_add(hit));
    let places = count(&truth);
    // A change may put a value in the place of the same value; then another one is made.
    loop {
        let mut tree = truth.clone();
        let mut place = random.below(places);
        change(&mut tree, &mut place, &mut random);
        if tree != truth {
            answer.body = tree.written();
            return;
        }
    }
}

fn count(tree: &Tree) -> usize {
    1 + match tree {
        Tree::Scalar(_) => 0,
        Tree::List(elements) => elements.iter().map(count).sum(),
        Tree::Map(members) => members.iter().map(|(_, value)| count(value)).sum(),
    }
}

/// Changes the value at a place, counted depth first; `true` when it was here.
fn change(tree: &mut Tree, place: &mut usize, random: &mut Random) -> bool {
    if *place == 0 {
        alter(tree, random);
        return true;
    }
    *place -= 1;
    match tree {
        Tree::Scalar(_) => false,
        Tree::List(elements) => elements.iter_mut().any(|element| change(element, place, random)),
        Tree::Map(members) => members.iter_mut().any(|(_, value)| change(value, place, random)),
    }
}

fn alter(tree: &mut Tree, random: &mut Random) {
    let stranger = Tree::scalar(STRANGERS[random.below(STRANGERS.len())]);
    match (tree, random.below(4)) {
        (Tree::List(elements), 0) if !elements.is_empty() => {
            let at = random.below(elements.len());
            elements.remove(at);
        }
        (Tree::List(elements), 1) if !elements.is_empty() => {
            let twice = random.pick(elements).clone();
            elements.push(twice);
        }
        (Tree::List(elements), 2) => elements.push(stranger),
        (Tree::Map(members), 0) if !members.is_empty() => {
            let at = random.below(members.len());
            members.remove(at);
        }
        (Tree::Map(members), 1) if !members.is_empty() => {
            let (key, _) = random.pick(members).clone();
            members.push((key, stranger));
        }
        (Tree::Map(members), 2) => members.push(("unheardOf".to_owned(), stranger)),
        (tree, _) => *tree = stranger,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_seed_gives_thousands_of_different_answers() {
        let record = r#"{"attributes":{"type":"Case","url":"/x"},"Id":"500","Subject":"a","N":1,"Owner":{"Name":"b"}}"#;
        let body = format!(r#"{{"totalSize":40,"done":true,"records":[{}]}}"#, [record; 40].join(","));
        let different: HashSet<Vec<u8>> = (0..2_600)
            .map(|hit| {
                let mut answer = Answer::bytes(200, body.clone().into_bytes());
                mutate(&mut answer, 7, hit);
                answer.body
            })
            .collect();
        assert!(different.len() >= 2_000, "{} different answers", different.len());
        assert!(!different.contains(body.as_bytes()));
    }
}
