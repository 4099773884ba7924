//! Wrong pages: cursors, limits over pages, heads that are not fixed.

use std::sync::Mutex;

use annalist_core::{Error, ErrorKind, EventStore, Page, Read, Version};
use annalist_memory::MemoryStore;
use async_trait::async_trait;

use super::super::Mutant;
use crate::bug::Bug;
use crate::edit_read::{Answers, anew, is_backward, of_stream};
use crate::world::{each_database, each_handle};

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "last_page_dropped",
        guarantee: "R4",
        twin: "a loop that ends when there is no cursor, before it takes the events",
        expected: &["read.pages_equal_whole", "read.limit_over_pages", "global.pages_equal_whole"],
        make: || each_handle(|| Answers(last_page_dropped)),
    },
    Mutant {
        name: "cursor_repeats_an_event",
        guarantee: "R4",
        twin: "an inclusive cursor: `version >= last seen`",
        expected: &["read.pages_equal_whole"],
        make: || each_handle(|| Answers(cursor_repeats)),
    },
    Mutant {
        name: "limit_for_each_page",
        guarantee: "R4",
        twin: "LIMIT of the request on every query of a page",
        expected: &["read.limit_over_pages"],
        make: || each_handle(|| Answers(limit_for_each_page)),
    },
    Mutant {
        name: "each_page_a_query_of_its_own",
        guarantee: "R4",
        twin: "pages without an upper bound",
        expected: &["read.head_fixed_stream", "read.head_fixed_log", "read.stable_under_append"],
        make: || each_handle(|| EachPageAnew),
    },
    Mutant {
        name: "pages_by_offset",
        guarantee: "R4",
        twin: "ORDER BY version DESC LIMIT n OFFSET m",
        expected: &["read.head_fixed_stream", "read.stable_under_append"],
        make: || each_handle(|| PagesByOffset),
    },
    Mutant {
        name: "short_page_is_not_the_end",
        guarantee: "R4",
        twin: "a cursor after every page, and no bound: the end moves away",
        expected: &["read.head_fixed_missing"],
        make: || each_handle(|| NeverTheEnd),
    },
    Mutant {
        name: "cursor_of_one_connection",
        guarantee: "R4",
        twin: "DECLARE CURSOR: it lives on one connection",
        expected: &["read.cursor_any_handle"],
        make: || each_handle(CursorOfConnection::default),
    },
    Mutant {
        name: "cursor_moves_on",
        guarantee: "R4",
        twin: "FETCH: the server moves the cursor",
        expected: &["read.cursor_twice"],
        make: || each_database(CursorMovesOn::default),
    },
];

fn last_page_dropped(read: &Read, mut page: Page) -> Result<Page, Error> {
    if read.fixed_head().is_some() && page.next.is_none() {
        page.events.clear();
    }
    Ok(page)
}

fn cursor_repeats(read: &Read, mut page: Page) -> Result<Page, Error> {
    let first_page = read.fixed_head().is_none();
    if let (true, true, false, Some(next)) = (first_page, of_stream(read), is_backward(read), &page.next) {
        let (from, _) = next.versions();
        page.next = Some(next.clone().from(Version::new(from.get() - 1)));
    }
    Ok(page)
}

fn limit_for_each_page(read: &Read, mut page: Page) -> Result<Page, Error> {
    if let (Some(limit), Some(next)) = (read.limit_left(), &page.next) {
        page.next = Some(next.clone().limit(limit));
    }
    Ok(page)
}

/// Forgets the head of the first page, but for telling it.
struct EachPageAnew;

#[async_trait]
impl Bug for EachPageAnew {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let Some(head) = read.fixed_head() else { return honest.read(read).await };
        let mut page = honest.read(anew(&read)).await?;
        (page.head, page.version) = (head, read.fixed_version().unwrap_or(Version::NONE));
        Ok(page)
    }
}

/// Counts the pages of a backward read from the newest event there is now.
struct PagesByOffset;

#[async_trait]
impl Bug for PagesByOffset {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let mut page = honest.read(read.clone()).await?;
        if let (true, true, Some(fixed)) = (of_stream(&read), is_backward(&read), read.fixed_version()) {
            let now = honest.read(anew(&read).limit(0)).await?.version;
            let moved = read.versions().1.get() + now.get() - fixed.get();
            page.events = honest.read(anew(&read).to(Version::new(moved))).await?.events;
        }
        Ok(page)
    }
}

/// Gives a cursor after every page, which goes on with whatever is there by then, until a page is empty.
struct NeverTheEnd;

#[async_trait]
impl Bug for NeverTheEnd {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let told = read.fixed_head().zip(Some(read.fixed_version().unwrap_or(Version::NONE)));
        let mut page = honest.read(if told.is_some() { anew(&read) } else { read.clone() }).await?;
        (page.head, page.version) = told.unwrap_or((page.head, page.version));
        if let (None, Some(last), None, false) =
            (&page.next, page.events.last(), read.limit_left(), of_stream(&read) || is_backward(&read))
        {
            let looked = annalist_core::backend::Looked::Past(last.position());
            page = annalist_core::backend::page(&read, page.events, looked, page.head, page.version);
        }
        Ok(page)
    }
}

/// Knows only the cursors that the same handle gave.
#[derive(Default)]
struct CursorOfConnection(Mutex<Vec<Read>>);

#[async_trait]
impl Bug for CursorOfConnection {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        if read.fixed_head().is_some() && !self.0.lock().expect("nothing panics here").contains(&read) {
            return Err(ErrorKind::Internal("cursor does not exist".to_owned()).into());
        }
        let page = honest.read(read).await?;
        self.0.lock().expect("nothing panics here").extend(page.next.clone());
        Ok(page)
    }
}

/// Gives what follows when a cursor is used again.
#[derive(Default)]
struct CursorMovesOn(Mutex<Vec<Read>>);

#[async_trait]
impl Bug for CursorMovesOn {
    async fn read(&self, honest: &MemoryStore, read: Read) -> Result<Page, Error> {
        let used = {
            let mut used = self.0.lock().expect("nothing panics here");
            let before = used.contains(&read);
            used.push(read.clone());
            before && read.fixed_head().is_some()
        };
        let page = honest.read(read).await?;
        match page.next.clone() {
            Some(next) if used => honest.read(next).await,
            _ => Ok(page),
        }
    }
}
