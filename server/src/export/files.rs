//! Outputs that are files: a directory at the client, or a tar.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use kiln_builder::images::{FileSet, OutputAttributes};
use kiln_builder::text;
use tonic::{Code, Status};

use super::{Answer, Export};
use crate::failure::told;
use crate::session::send;

/// What a client is told instead of the place where files are put together for it.
const OUTPUT: &str = "output";

impl Export<'_> {
    pub(super) async fn tar(&self, number: usize, attributes: &OutputAttributes) -> Result<Answer, Status> {
        let file = self.contexts.file().map_err(|error| told(Code::Internal, &error))?;
        let written = self.images.export_tar_of(self.sets(attributes), file, &self.progress).await;
        let mut file = written.map_err(|error| told(Code::Unknown, &error))?;
        let write = move |to: &mut dyn std::io::Write| {
            std::io::Seek::rewind(&mut file)?;
            std::io::copy(&mut file, to).map(drop)
        };
        self.send(number, &BTreeMap::new(), write).await?;
        Ok(HashMap::new())
    }

    pub(super) async fn local(&self, number: usize, attributes: &OutputAttributes) -> Result<Answer, Status> {
        let step = self.progress.step("exporting to client directory");
        let directory = self.contexts.temporary().map_err(|error| told(Code::Internal, &error))?;
        let root = directory.path().join("root");
        self.build.call(&root, OUTPUT.to_owned());
        let failed = |error| {
            let mut text = text::chain(&error);
            self.build.in_known_names(&mut text);
            Status::unknown(text)
        };
        for files in self.sets(attributes) {
            let exported = self.images.export_files(files, &root, &self.progress).await;
            exported.map_err(failed)?;
        }
        // What else is in the directory goes or stays there: the client was asked for that, too.
        send::directory(self.session, number, &root).await.map_err(|error| told(Code::Unknown, &error))?;
        step.note("copying files");
        step.done();
        Ok(HashMap::new())
    }

    /// The files of each image, and what is stated about them.
    fn sets(&self, attributes: &OutputAttributes) -> Vec<FileSet> {
        let is_split = attributes.platform_split.unwrap_or(self.is_multi);
        let mut stated = self.stated(attributes).into_iter();
        let set = |(record, platform): (_, &&str)| {
            let files = FileSet::of(record);
            let platform =
                if platform.is_empty() { files.record.platform.clone() } else { (*platform).to_owned() };
            let under = if is_split { PathBuf::from(platform.replace('/', "_")) } else { PathBuf::new() };
            FileSet {
                time: self.epoch(attributes),
                attestations: stated.next().unwrap_or_default(),
                prefix: attributes.attestation_prefix.clone(),
                platform: (self.is_multi && !is_split).then_some(platform),
                under,
                exclusive: !is_split && self.records.len() > 1,
                ..files
            }
        };
        self.records.iter().zip(&self.platforms).map(set).collect()
    }
}
