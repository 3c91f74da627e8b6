//! The prompt of a conversation of any client: messages take the form that the template renders, and none is lost.
//!
//! [`Template::prompt`] renders what it is given, as transformers does.

use std::collections::BTreeSet;
use std::iter::zip;
use std::ops::Range;

use serde_json::{Value, json};

use super::message::{Content, Message, Role};
use super::rendered::Rendered;
use super::singly::{self, Singly};
use super::tags::Tags;
use super::template::{Error, RenderOptions, Template};
use super::{ids, marked, parts, python};

impl Template {
    /// Renders a conversation, after it has put it into a form that the template supports: parts of text become one
    /// text, and a text a part, where the template does not render them as they are; `developer` becomes `system` where
    /// the template does not mention it; an assistant's content that is null or omitted becomes empty without a call, and
    /// where the template would fail or write `None`; a system message after the start becomes the user's where the
    /// template refuses it or leaves it out; ids of calls become longer, each of several calls gets a message of its own,
    /// and reasoning beside a call and content becomes part of the content, where the template takes nothing else.
    ///
    /// # Errors
    ///
    /// When a part of a message is not text, when the template refuses the conversation, and when it leaves out the
    /// text of a message.
    pub fn conversation(&self, messages: &[Message], options: &RenderOptions) -> Result<Rendered, Error> {
        let adapted = messages.iter().enumerate().map(|(index, message)| self.adapted(index, message));
        let mut adapted = adapted.collect::<Result<Vec<_>, _>>()?;
        let render = |messages: &[Message]| self.render(messages, &RenderOptions::default()).ok();
        if ids::has_other(&adapted) && !self.probes().takes_any_id(render) {
            ids::renumber(&mut adapted);
        }
        let singly = singly::has_several(&adapted) && !self.probes().takes_several_calls(render);
        let Some(singly) = singly.then(|| Singly::of(&adapted)).flatten() else {
            return self.fitting(&adapted, options);
        };
        match self.fitting(&singly.messages, options) {
            Ok(mut prompt) => {
                prompt.messages = singly.whole(&prompt.messages);
                Ok(prompt)
            }
            Err(Error::LeftOut { number, role }) => {
                Err(Error::LeftOut { number: singly.origins[number - 1] + 1, role })
            }
            Err(error) => Err(error),
        }
    }

    /// Renders messages, in other forms if the template does not render them as they are.
    fn fitting(&self, adapted: &[Message], options: &RenderOptions) -> Result<Rendered, Error> {
        let prompt = self.prompt(adapted, options);
        let left_out = |messages: &[Message], prompt: &Rendered| self.left_out(messages, prompt, options);
        let lost = match &prompt {
            Ok(rendered) => left_out(adapted, rendered),
            Err(_) => None,
        };
        if prompt.is_ok() && lost.is_none() {
            return prompt;
        }
        // It may render lists only.
        if let Some(listed) = self.listed(adapted)
            && let Ok(rendered) = self.prompt(&listed, options)
            && left_out(&listed, &rendered).is_none()
        {
            return Ok(rendered);
        }
        // It may take instructions at the start only.
        if let Some(asked) = later_system_as_user(adapted)
            && let Ok(rendered) = self.prompt(&asked, options)
            && left_out(&asked, &rendered).is_none()
        {
            return Ok(rendered);
        }
        // It may take either reasoning or content beside a call.
        if prompt.is_err()
            && let Some(joined) = reasoning_in_content(adapted)
            && let Ok(rendered) = self.prompt(&joined, options)
            && left_out(&joined, &rendered).is_none()
        {
            return Ok(rendered);
        }
        match lost {
            Some(index) => Err(Error::LeftOut { number: index + 1, role: adapted[index].role }),
            None => prompt,
        }
    }

    /// A message in a form that the template supports, as far as that is certain before it is rendered.
    fn adapted(&self, index: usize, message: &Message) -> Result<Message, Error> {
        let mut message = message.clone();
        message.content.texts().map_err(|part| Error::Part { number: index + 1, part })?;
        if message.role == Role::Developer && !self.mentions("developer") {
            message.role = Role::System;
        }
        let render = |messages: &[Message]| self.render(messages, &RenderOptions::default()).ok();
        match &mut message.content {
            Content::Parts(_) if !self.probes().takes_list(message.role, render) => {
                message.content = Content::Text(message.content.text());
            }
            Content::Parts(parts) => *parts = parts::typed(parts),
            Content::Null if message.tool_calls.is_empty() || !self.probes().takes_null(render) => {
                message.content = Content::Text(String::new());
            }
            Content::Absent
                if message.role == Role::Assistant
                    && (message.tool_calls.is_empty() || !self.probes().takes_absent(render)) =>
            {
                message.content = Content::Text(String::new());
            }
            Content::Absent | Content::Null | Content::Text(_) => {}
        }
        Ok(message)
    }

    /// The messages with lists in place of texts, for roles of which the template renders lists only.
    fn listed(&self, messages: &[Message]) -> Option<Vec<Message>> {
        let render = |messages: &[Message]| self.render(messages, &RenderOptions::default()).ok();
        let probes = self.probes();
        let lists_only = |role| !probes.takes_text(role, render) && probes.takes_list(role, render);
        let mut listed = messages.to_vec();
        for message in &mut listed {
            if let Content::Text(text) = &message.content
                && lists_only(message.role)
            {
                message.content = Content::Parts(vec![json!({"type": "text", "text": text})]);
            }
        }
        (listed != messages).then_some(listed)
    }

    /// The first message of which a text is not in the prompt.
    fn left_out(&self, messages: &[Message], prompt: &Rendered, options: &RenderOptions) -> Option<usize> {
        let regions = regions(prompt, messages.len());
        let is_there = |message: &Message, region: &Range<usize>| {
            texts(message).iter().all(|text| prompt.has_given(region.clone(), text))
        };
        let whole = zip(messages, &regions).enumerate();
        let doubtful = whole.filter(|(_, (message, region))| !is_there(message, region));
        let doubtful: Vec<usize> = doubtful.map(|(index, _)| index).collect();
        if doubtful.is_empty() {
            return None;
        }
        // A text that was moved, changed or joined with another still has the sign in its middle, and one without the
        // reasoning at its beginning still has the sign at its end.
        let mut taken = BTreeSet::new();
        messages.iter().flat_map(texts).for_each(|text| marked::private(text, &mut taken));
        let mut free = marked::free(&taken);
        let (mut signed, mut signs) = (messages.to_vec(), Vec::new());
        for &index in &doubtful {
            sign(&mut signed[index], || {
                let pair = [free.next()?, free.next()?];
                signs.push((index, pair));
                Some(pair)
            });
        }
        let Ok(rendered) = self.prompt(&signed, options) else {
            let is_lost = |index: &usize| !is_there(&messages[*index], &(0..prompt.text.len()));
            return doubtful.into_iter().find(is_lost);
        };
        let mut found = BTreeSet::new();
        marked::private(&rendered.text, &mut found);
        let is_there =
            |sign: &char| found.contains(sign) || rendered.text.contains(python::escaped(*sign).as_str());
        signs.into_iter().find(|(_, pair)| !pair.iter().any(is_there)).map(|(index, _)| index)
    }
}

/// The messages with the user as the author of those of the system that follow a message of another role.
fn later_system_as_user(messages: &[Message]) -> Option<Vec<Message>> {
    let start = messages.iter().take_while(|message| message.role == Role::System).count();
    let mut asked = messages.to_vec();
    for message in asked.iter_mut().skip(start).filter(|message| message.role == Role::System) {
        message.role = Role::User;
    }
    (asked != messages).then_some(asked)
}

/// The messages with the reasoning before the content, where both are beside a call.
fn reasoning_in_content(messages: &[Message]) -> Option<Vec<Message>> {
    let mut joined = messages.to_vec();
    for message in joined.iter_mut().filter(|message| !message.tool_calls.is_empty()) {
        let content = message.content.text();
        if let Some(reasoning) = message.reasoning_content.take_if(|_| !content.is_empty()) {
            message.content = Content::Text(format!("{reasoning}\n\n{content}"));
        }
    }
    (joined != messages).then_some(joined)
}

/// Where the text of each message is expected: from where it begins up to where the next one does.
fn regions(prompt: &Rendered, messages: usize) -> Vec<Range<usize>> {
    let mut end = prompt.text.len();
    let mut regions: Vec<_> = (0..messages).map(|_| 0..0).collect();
    for (region, begin) in zip(&mut regions, &prompt.messages).rev() {
        if let Some(begin) = *begin {
            *region = begin..end.max(begin);
            end = begin;
        }
    }
    regions
}

/// The texts of a message that a prompt must have: its content or, if it has none, the names of the functions it calls.
fn texts(message: &Message) -> Vec<&str> {
    let texts = message.content.texts().unwrap_or_default();
    let mut texts: Vec<_> = texts.into_iter().map(|text| &text[visible(text)]).collect();
    texts.retain(|text| !text.is_empty());
    if texts.is_empty() {
        texts.extend(message.tool_calls.iter().map(|call| call.function.name.as_str()));
    }
    texts
}

/// Puts two characters into each of the [`texts`] of a message: into its middle, and before its last character.
fn sign(message: &mut Message, mut next: impl FnMut() -> Option<[char; 2]>) {
    let has_text = !message.content.texts().unwrap_or_default().iter().all(|text| visible(text).is_empty());
    let mut insert = |text: &mut String| {
        let Range { start, end } = visible(text);
        if start < end {
            let middle = text.floor_char_boundary(usize::midpoint(start, end));
            let last = text.floor_char_boundary(end - 1);
            if let Some([first, second]) = next() {
                text.insert(last, second);
                text.insert(middle, first);
            }
        }
    };
    match &mut message.content {
        Content::Text(text) => insert(text),
        Content::Parts(parts) => {
            for text in parts.iter_mut().filter_map(|part| part.get_mut("text")) {
                if let Value::String(text) = text {
                    insert(text);
                }
            }
        }
        Content::Absent | Content::Null => {}
    }
    if !has_text {
        message.tool_calls.iter_mut().for_each(|call| insert(&mut call.function.name));
    }
}

/// The part of a content that templates keep: without whitespace around it and the reasoning before it.
fn visible(text: &str) -> Range<usize> {
    let closed = Tags::closing().filter_map(|tag| Some(text.rfind(tag)? + tag.len())).max().unwrap_or(0);
    let start = text.len() - text[closed..].trim_start().len();
    start..text.trim_end().len().max(start)
}

#[cfg(test)]
mod tests;
