//! The part of `leaks`: text out of memory, lines of the log.

use super::{LEFT_OUT, Named, Redactor};
use crate::analysis::accounting::Reason;
use crate::analysis::leaks::{LeakVerdict, Owner};
use crate::graph::Cluster;
use crate::report::leaks::LeaksReport;

/// Texts out of memory as sentences quote them, with what is said instead.
type Quoted = Vec<(String, String)>;

impl Named for LeaksReport {
    fn redact(&mut self, redactor: &mut Redactor) {
        if let Some(period) = &mut self.grace_period {
            for task in period.running.iter_mut().chain(&mut period.preempted) {
                redactor.learn_process(&task.comm);
                redactor.process(&mut task.comm);
            }
        }
        for finding in &mut self.findings {
            if let Some(name) = finding.subject.strip_prefix("page pool ") {
                let mut name = name.to_owned();
                redactor.page_pool(&mut name);
                finding.subject = format!("page pool {name}");
            }
        }
        let mut quoted = Quoted::new();
        for cache in &mut self.caches {
            blank(&mut cache.judgement.unreachable.clusters, &mut quoted);
        }
        let pages = self.kernel_pages.as_mut();
        let others = [
            &mut self.vmalloc.clusters,
            &mut self.large_kmalloc.clusters,
            &mut self.percpu.clusters,
        ];
        for clusters in others
            .into_iter()
            .chain(pages.map(|pages| &mut pages.clusters))
        {
            blank(clusters, &mut quoted);
        }
        // What is a part of another would leave the rest of it.
        quoted.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        let mut sentence = |text: &mut String| {
            for (quote, instead) in &quoted {
                *text = text.replace(quote.as_str(), instead);
            }
            *text = redactor.text(text);
        };
        for cache in &mut self.caches {
            of_verdict(&mut cache.judgement.verdict, &mut sentence);
            of_owners(&mut cache.judgement.owners, &mut sentence);
        }
        of_verdict(&mut self.vmalloc.verdict, &mut sentence);
        of_owners(&mut self.vmalloc.owners, &mut sentence);
        of_verdict(&mut self.large_kmalloc.verdict, &mut sentence);
        of_owners(&mut self.large_kmalloc.owners, &mut sentence);
        of_verdict(&mut self.percpu.verdict, &mut sentence);
        of_owners(&mut self.percpu.owners, &mut sentence);
        if let Some(pages) = &mut self.kernel_pages {
            of_verdict(&mut pages.verdict, &mut sentence);
            of_owners(&mut pages.owners, &mut sentence);
        }
        for finding in &mut self.findings {
            sentence(&mut finding.message);
            let evidence = &mut finding.evidence;
            of_reasons(&mut evidence.r#for, &mut sentence);
            of_reasons(&mut evidence.against, &mut sentence);
            of_reasons(&mut evidence.not_checked, &mut sentence);
            of_owners(&mut finding.owners, &mut sentence);
        }
        for event in &mut self.history {
            event.line = LEFT_OUT.to_owned();
        }
    }
}

/// Says how long the texts of objects are, and not what: they may be anything. So it is with the
/// formats that made them, which say the same.
fn blank(clusters: &mut [Cluster], quoted: &mut Quoted) {
    for cluster in clusters {
        let format = cluster.format.as_mut().map(|format| &mut format.format);
        for text in cluster.text.as_mut().into_iter().chain(format) {
            let count = text.chars().count();
            let plural = if count == 1 { "" } else { "s" };
            let instead = format!("({count} character{plural})");
            quoted.push((format!("{text:?}"), instead.clone()));
            *text = instead;
        }
    }
}

fn of_verdict(verdict: &mut LeakVerdict, sentence: &mut impl FnMut(&mut String)) {
    of_reasons(&mut verdict.r#for, sentence);
    of_reasons(&mut verdict.against, sentence);
    of_reasons(&mut verdict.not_checked, sentence);
}

fn of_reasons(reasons: &mut [Reason], sentence: &mut impl FnMut(&mut String)) {
    reasons
        .iter_mut()
        .for_each(|reason| sentence(&mut reason.message));
}

fn of_owners(owners: &mut [Owner], sentence: &mut impl FnMut(&mut String)) {
    owners.iter_mut().for_each(|owner| sentence(&mut owner.how));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_text_out_of_memory_its_length_alone_is_told() {
        let mut clusters = vec![Cluster {
            text_at: 0,
            text: Some("Käufer \"A\"".to_owned()),
            format: None,
            symbols: Vec::new(),
            empty_lists: Vec::new(),
            objects: 3,
            examples: Vec::new(),
            members: Vec::new(),
        }];
        let mut quoted = Quoted::new();
        blank(&mut clusters, &mut quoted);
        assert_eq!(clusters[0].text.as_deref(), Some("(10 characters)"));
        let said = "they begin with \"Käufer \\\"A\\\"\"";
        let (quote, instead) = &quoted[0];
        assert_eq!(
            said.replace(quote, instead),
            "they begin with (10 characters)"
        );
    }
}
