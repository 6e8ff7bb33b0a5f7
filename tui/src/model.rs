//! What the daemon has told: the one copy of it in the interface. Screens read it; only replies and events change it.

use std::collections::{BTreeMap, VecDeque};

use hedgerow_sync::{
    id::{ContactId, MessageId},
    time::{Instant, UnixMillis},
    view::{Answer, Command, Contact, Event, Message, MessageState, Nearby, Neighbour, NodeStatus, Settings},
};

use crate::{Reply, Request};

/// Notices kept for reading later (policy); the oldest go first.
const MAX_NOTICES: usize = 50;

/// Whether the daemon is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Connection {
    /// There is none yet, or it is being reached.
    Absent,
    /// It answers.
    Attached,
    /// It went away.
    Lost {
        /// When.
        since: Instant,
        /// Why, in words.
        why: String,
    },
}

/// Something a person should know, as the node told it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Notice {
    /// When it was told.
    pub(crate) at: UnixMillis,
    /// Its stable word.
    pub(crate) kind: String,
    /// In words.
    pub(crate) text: String,
    /// The contact it is about.
    pub(crate) contact: Option<ContactId>,
}

/// Where a message stands in its conversation: its order, and where two have the same, who came first by id.
pub(crate) type Place = (u64, MessageId, bool);

/// The place of a message.
pub(crate) const fn place(message: &Message) -> Place {
    (message.order, message.id, message.outgoing)
}

/// Whether it came here and nobody has read it.
pub(crate) fn is_unread(message: &Message) -> bool {
    !message.outgoing && message.state == MessageState::Delivered
}

/// The messages of one contact as far as they are loaded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conversation {
    /// By their place, oldest first.
    pub(crate) messages: VecDeque<Message>,
    /// Whether nothing older exists.
    pub(crate) whole: bool,
    /// Whether it has been loaded at all since the daemon was attached. If not, what is held is what it was before.
    pub(crate) loaded: bool,
}

impl Conversation {
    /// Puts a message at its place, or in the place of its former state. Returns whether it is new.
    pub(crate) fn put(&mut self, message: Message) -> bool {
        match self.find(&place(&message)) {
            Ok(index) => {
                if let Some(old) = self.messages.get_mut(index) {
                    *old = message;
                }
                false
            }
            Err(index) => {
                self.messages.insert(index, message);
                true
            }
        }
    }

    /// The index of what stands at a place, or where it would stand.
    pub(crate) fn find(&self, wanted: &Place) -> Result<usize, usize> {
        // Nearly everything that comes is newer than what is there.
        if self.messages.back().is_none_or(|last| place(last) < *wanted) {
            return Err(self.messages.len());
        }
        self.messages.binary_search_by_key(wanted, place)
    }

    /// What stands at a place.
    pub(crate) fn at(&self, wanted: &Place) -> Option<&Message> {
        self.find(wanted).ok().and_then(|index| self.messages.get(index))
    }

    /// Where the first incoming message stands that is not read.
    pub(crate) fn first_unread(&self) -> Option<Place> {
        self.messages.iter().find(|message| is_unread(message)).map(place)
    }

    /// What came up to a message has been read.
    fn mark_read(&mut self, id: MessageId) {
        let Some(last) = self.messages.iter().rposition(|message| message.id == id) else { return };
        for message in self.messages.range_mut(..=last).filter(|message| is_unread(message)) {
            message.state = MessageState::Read;
        }
    }

    /// Takes over a page of the newest messages, or of those before the first one held.
    fn take_page(&mut self, messages: &[Message], is_newest: bool, limit: Option<u32>) {
        if is_newest && !self.loaded {
            // What was held from before the daemon went away may have changed without a word.
            *self = Self { loaded: true, ..Self::default() };
        }
        self.whole |= limit.is_none_or(|limit| messages.len() < limit as usize);
        for message in messages {
            self.put(message.clone());
        }
    }
}

/// What the daemon has told.
#[derive(Debug)]
pub(crate) struct Model {
    /// Whether it is there.
    pub(crate) connection: Connection,
    /// How it and its node are doing, when last asked.
    pub(crate) status: Option<NodeStatus>,
    /// What the person has decided.
    pub(crate) settings: Option<Settings>,
    /// All contacts.
    pub(crate) contacts: BTreeMap<ContactId, Contact>,
    /// Who is in reach.
    pub(crate) neighbours: BTreeMap<u64, Neighbour>,
    /// The conversations that were opened.
    pub(crate) conversations: BTreeMap<ContactId, Conversation>,
    /// Who can be chosen nearby.
    pub(crate) nearby: Nearby,
    /// What the node wanted known, oldest first.
    pub(crate) notices: VecDeque<Notice>,
}

impl Model {
    /// Nothing is known yet.
    pub(crate) fn new() -> Self {
        Self {
            connection: Connection::Absent,
            status: None,
            settings: None,
            contacts: BTreeMap::new(),
            neighbours: BTreeMap::new(),
            conversations: BTreeMap::new(),
            nearby: Nearby::default(),
            notices: VecDeque::new(),
        }
    }

    /// Whether the daemon answers.
    pub(crate) fn is_attached(&self) -> bool {
        self.connection == Connection::Attached
    }

    /// The profile's name, once known.
    pub(crate) fn own_name(&self) -> Option<&str> {
        Some(self.status.as_ref()?.node.as_ref()?.name.as_str())
    }

    /// Takes over what a reply tells.
    pub(crate) fn take_reply(&mut self, request: &Request, reply: &Reply) {
        match reply {
            Reply::Status(status) => {
                if let Some(node) = &status.node {
                    self.neighbours = node.neighbours.iter().map(|neighbour| (neighbour.link, neighbour.clone())).collect();
                }
                self.status = Some((**status).clone());
            }
            Reply::Answer(answer) => self.take_answer(request, answer),
            Reply::Saved { .. } | Reply::Done => {}
        }
    }

    fn take_answer(&mut self, request: &Request, answer: &Answer) {
        match (answer, request) {
            (Answer::Contacts(contacts), _) => {
                self.contacts = contacts.iter().map(|contact| (contact.contact, contact.clone())).collect();
                self.conversations.retain(|contact, _| self.contacts.contains_key(contact));
            }
            (Answer::Contact(contact), Request::Command(Command::MarkRead { id, .. })) => {
                self.conversation(contact.contact).mark_read(*id);
                self.contacts.insert(contact.contact, contact.clone());
            }
            (Answer::Contact(contact), _) => drop(self.contacts.insert(contact.contact, contact.clone())),
            (Answer::Removed(removed), _) => self.forget(removed.contact),
            (Answer::Settings(settings), _) => self.settings = Some(*settings),
            (Answer::Nearby(nearby), _) => self.nearby = nearby.clone(),
            (Answer::Message(message), _) => {
                self.conversation(message.contact).put(message.clone());
            }
            (Answer::Messages(messages), Request::Command(Command::Messages { contact, since: None, before, limit, .. })) => {
                let Some(contact) = contact.parse().ok().map(ContactId) else { return };
                self.conversation(contact).take_page(messages, before.is_none(), *limit);
            }
            _ => {}
        }
    }

    /// Takes over what an event tells. Returns whether it brought a message that is new here.
    pub(crate) fn take_event(&mut self, now: UnixMillis, event: &Event) -> bool {
        match event {
            Event::Message(message) => {
                if let Some(contact) = self.contacts.get_mut(&message.contact) {
                    contact.last_message = contact.last_message.max(Some(message.stored));
                }
                // A conversation that nobody has opened is loaded when somebody does.
                match self.conversations.get_mut(&message.contact).filter(|conversation| conversation.loaded) {
                    Some(conversation) => {
                        // What was announced before counts as new once all of it is here.
                        let announced = conversation.at(&place(message)).is_some_and(|before| before.state == MessageState::Carried);
                        return conversation.put(message.clone()) || (announced && is_unread(message));
                    }
                    None => return !message.outgoing && message.state == MessageState::Delivered,
                }
            }
            Event::Contact(contact) => drop(self.contacts.insert(contact.contact, contact.clone())),
            Event::ContactRemoved { contact, .. } => self.forget(*contact),
            Event::LinkUp(neighbour) | Event::Neighbour(neighbour) => drop(self.neighbours.insert(neighbour.link, neighbour.clone())),
            Event::LinkDown(neighbour) => drop(self.neighbours.remove(&neighbour.link)),
            Event::Nearby(nearby) => self.nearby = nearby.clone(),
            Event::Notice { kind, text, contact } => {
                if self.notices.len() == MAX_NOTICES {
                    self.notices.pop_front();
                }
                self.notices.push_back(Notice { at: now, kind: kind.to_string(), text: text.clone(), contact: *contact });
            }
        }
        false
    }

    fn conversation(&mut self, contact: ContactId) -> &mut Conversation {
        self.conversations.entry(contact).or_default()
    }

    fn forget(&mut self, contact: ContactId) {
        self.contacts.remove(&contact);
        self.conversations.remove(&contact);
    }

    /// Without the daemon nobody is known to be in reach.
    pub(crate) fn forget_links(&mut self) {
        self.neighbours.clear();
        for contact in self.contacts.values_mut() {
            contact.in_reach = false;
        }
    }

    /// After the daemon was away, what was loaded may have changed without a word. Messages stay to be seen until they are loaded anew.
    pub(crate) fn distrust(&mut self) {
        self.forget_links();
        for conversation in self.conversations.values_mut() {
            conversation.loaded = false;
        }
    }
}
