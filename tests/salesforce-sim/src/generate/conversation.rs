//! Comments, e-mails, tasks and escalations of a case.

use super::cases::Story;
use super::draft::Draft;
use super::{Generator, texts};
use crate::value::Value;

impl Generator<'_> {
    pub(super) fn conversation(&mut self, story: &Story) {
        for _ in 0..self.random.around(2.55 * story.size) {
            self.comment(story);
        }
        let mut quoted: Option<String> = None;
        for place in 0..self.random.around(2.05 * story.size) {
            quoted = Some(self.email(story, place, quoted.as_deref()));
        }
    }

    /// Some time after the case began, mostly soon.
    fn after(&mut self, story: &Story) -> i64 {
        let left = (self.now() - 30_000 - story.created).max(1_000);
        let share = self.random.unit();
        let after = super::truncated(share * share * share * super::ratio(left / 1_000));
        story.created + after * 1_000
    }

    fn comment(&mut self, story: &Story) {
        let at = self.after(story);
        let by_agent = self.random.chance(0.6);
        let language = if by_agent && self.random.chance(0.5) { 0 } else { story.customer.language };
        let body = texts::note(&mut self.random, language, by_agent);
        let mut comment = self.draft("CaseComment");
        self.set(&mut comment, "ParentId", story.id);
        let published = self.random.chance(0.4);
        self.set(&mut comment, "IsPublished", published);
        self.set(&mut comment, "CommentBody", body.as_str());
        let by = if by_agent { story.agent } else { self.integration };
        self.audit(&mut comment, at, at, by);
        self.keep(comment, at);
    }

    fn email(&mut self, story: &Story, place: usize, quoted: Option<&str>) -> String {
        let at = self.after(story);
        let incoming = place.is_multiple_of(2);
        let language = story.customer.language;
        let mut text = texts::message(&mut self.random, language, !incoming, quoted);
        texts::lengthen(&mut self.random, language, &mut text, self.recipe.mail_characters);
        let has_html = self.random.chance(0.8);
        let html = has_html.then(|| texts::html(&mut self.random, &text));
        let subject = if place == 0 { story.subject.clone() } else { format!("Re: {}", story.subject) };
        let mut mail = self.draft("EmailMessage");
        self.set(&mut mail, "ParentId", story.id);
        self.set(&mut mail, "RelatedToId", story.id);
        self.set(&mut mail, "Subject", subject.as_str());
        self.set(&mut mail, "Name", subject.as_str());
        self.address(&mut mail, story, incoming);
        self.set(&mut mail, "TextBody", text.as_str());
        if let Some(html) = html {
            self.set(&mut mail, "HtmlBody", html.as_str());
        }
        self.set(&mut mail, "Incoming", incoming);
        let status = if incoming { *self.random.pick(&["0", "1", "2"]) } else { "3" };
        self.set_word(&mut mail, "Status", status);
        self.set(&mut mail, "MessageDate", Value::Instant(at));
        let attached = self.random.chance(0.12);
        self.set(&mut mail, "HasAttachment", attached);
        let reference = self.random.number();
        self.set(&mut mail, "MessageIdentifier", format!("<{reference:016x}@mail.example.com>").as_str());
        let by = if incoming { self.integration } else { story.agent };
        self.audit(&mut mail, at, at, by);
        self.keep(mail, at);
        text
    }

    fn address(&mut self, mail: &mut Draft, story: &Story, incoming: bool) {
        let (from, to) = if incoming {
            (story.customer.email.as_str(), "support@support.example.com")
        } else {
            ("support@support.example.com", story.customer.email.as_str())
        };
        let from_name = if incoming { story.customer.name.as_str() } else { "Support" };
        self.set(mail, "FromName", from_name);
        self.set_word(mail, "FromAddress", from);
        self.set_word(mail, "ToAddress", to);
        if self.random.chance(0.08) {
            self.set(mail, "CcAddress", "\"Doe; Jane\" <jane@example.com>; team@example.org");
        }
    }

    /// Tasks and escalations that belong to the case.
    pub(super) fn around_it(&mut self, story: &Story) {
        if self.random.chance(0.5) {
            self.task(story);
        }
        if self.random.chance(0.05) {
            let at = self.after(story);
            let mut escalation = self.draft("Escalation__c");
            let number = self.store.table("Escalation__c").len() + 1;
            self.set(&mut escalation, "Name", format!("ESC-{number:05}").as_str());
            self.set(&mut escalation, "Case__c", story.id);
            self.set(&mut escalation, "OwnerId", story.agent);
            let severity = *self.random.pick(&["S1", "S2", "S3"]);
            self.set_word(&mut escalation, "Severity__c", severity);
            let hostile = texts::hostile(&mut self.random);
            let reason = texts::message(&mut self.random, 0, true, Some(hostile));
            let short: String = reason.chars().take(32_000).collect();
            self.set(&mut escalation, "Reason__c", short.as_str());
            self.set(&mut escalation, "Cost__c", Value::Double(1_234.5));
            self.set(&mut escalation, "Occurred_At__c", Value::Instant(at));
            self.audit(&mut escalation, at, at, story.agent);
            self.keep(escalation, at);
        }
    }

    fn task(&mut self, story: &Story) {
        let at = self.after(story);
        let closed = self.random.chance(0.6);
        let mut task = self.draft("Task");
        self.set(&mut task, "WhatId", story.id);
        self.set(&mut task, "WhoId", story.customer.id);
        let subject = *self.random.pick(&["Call", "Email"]);
        self.set_word(&mut task, "Subject", subject);
        self.set_word(&mut task, "Status", if closed { "Completed" } else { "Not Started" });
        self.set_word(&mut task, "Priority", "Normal");
        self.set_word(&mut task, "TaskSubtype", "Task");
        self.set(&mut task, "IsClosed", closed);
        self.set(&mut task, "ActivityDate", Value::Date(at.div_euclid(crate::time::DAY_MS) + 2));
        let description = texts::note(&mut self.random, story.customer.language, true);
        self.set(&mut task, "Description", description.as_str());
        self.set(&mut task, "OwnerId", story.agent);
        if let Some(account) = story.customer.account {
            self.set(&mut task, "AccountId", account);
        }
        self.audit(&mut task, at, at, story.agent);
        self.keep(task, at);
    }
}
