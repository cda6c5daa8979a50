//! Which dataset it will be: the digests of the source's files and the options, computed while samples are converted.

use std::sync::{Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Options;
use crate::dataset::FORMAT_VERSION;
use crate::error::{Error, ErrorKind, Result};
use crate::raw::hex;
use crate::selector::Selector;
use crate::source::Source;

/// Threads that compute digests beside those that convert.
const DIGEST_THREADS: usize = 2;

/// What a dataset was made of.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The source's files with their digests.
    pub description: Value,
    /// The id that equal sources and options have, and no others. All shards of one conversion share it.
    pub dataset_id: String,
}

enum State<'scope> {
    Computing(Option<ScopedJoinHandle<'scope, Result<Known>>>),
    Known(Result<Known>),
}

/// A [`Known`] that is not known yet.
pub(super) struct Identity<'scope>(Mutex<State<'scope>>);

impl<'scope> Identity<'scope> {
    /// Begins to read the files.
    pub(super) fn begin<'env: 'scope>(
        scope: &'scope Scope<'scope, 'env>,
        source: &'env Source,
        options: &'env Options,
    ) -> Identity<'scope> {
        let digests = move || -> Result<Known> {
            // Threads of its own: those that convert may all be waiting for the id.
            let threads = rayon::ThreadPoolBuilder::new().num_threads(DIGEST_THREADS).build();
            let description = match threads {
                Ok(threads) => threads.install(|| source.describe(true)),
                Err(e) => Err(Error::new(ErrorKind::Io, format!("no thread can be started: {e}"))),
            };
            let description = anonymous(description?);
            let dataset_id = dataset_id(&description, options);
            Ok(Known { description, dataset_id })
        };
        Identity(Mutex::new(State::Computing(Some(scope.spawn(digests)))))
    }

    /// Waits for it. Errs where a file cannot be read any more.
    pub(super) fn get(&self) -> Result<Known> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Computing(thread) = &mut *state {
            let gave_up = || Error::new(ErrorKind::Io, "the digests of the source could not be computed");
            let known = thread.take().and_then(|t| t.join().ok()).unwrap_or_else(|| Err(gave_up()));
            *state = State::Known(known);
        }
        match &*state {
            State::Known(known) => known.clone(),
            State::Computing(_) => Err(Error::new(ErrorKind::Io, "the digests of the source are not there")),
        }
    }
}

/// What a source consists of, without the name that somebody gave to its folder.
fn anonymous(mut description: Value) -> Value {
    if let Some(map) = description.as_object_mut() {
        map.shift_remove("name");
        map.shift_remove("root");
    }
    description
}

fn dataset_id(description: &Value, options: &Options) -> String {
    let matches: Vec<String> = options.selectors.iter().map(Selector::to_string).collect();
    let identity = json!({
        "format_version": FORMAT_VERSION,
        "source": description,
        "matches": matches,
        "start_ms": options.interval.start,
        "end_ms": options.interval.end,
        "view": options.view(),
        "layout": options.layout.name(),
        "partition": options.partition.name(),
        "semantics": options.semantics,
        "shards": options.shard.map(|(_, count)| count),
    });
    hex(&Sha256::digest(identity.to_string().as_bytes()))
}
