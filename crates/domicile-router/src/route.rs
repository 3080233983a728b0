//! From what statements are about to the site where they run.

use crate::classify::{About, Command, Handle, Operand, SignUp, Statement};
use crate::error::{Error, Kind, Result};
use crate::homes::{Homes, SiteAt};
use crate::key::{self, KeyText, Sent};
use crate::schema::{Place, Schema};
use crate::wire::Bind;

/// Where the values of a statement's parameters are.
pub(crate) struct Values<'a> {
    /// The message that binds them; `None` where there are no parameters.
    pub(crate) bind: Option<Bind<'a>>,
    /// The types they were declared with, as they were sent.
    pub(crate) types: &'a [u8],
}

/// Somebody whom statements concern, as far as values tell without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// This person.
    Person(String),
    /// Whoever owns the rows with these values.
    OwnerOf { table: Place, columns: Vec<String>, values: Vec<String> },
    /// A new person.
    New {
        /// What is known of the row.
        row: Vec<(String, Option<String>)>,
        /// Whoever has that key already, where the row names it: they stay where they are.
        already: Option<Box<Who>>,
    },
}

/// What statements that run together need.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// Whom they concern; each once.
    pub(crate) who: Vec<Who>,
    /// Whether they touch what stands at one site and belongs to nobody.
    pub(crate) internal: bool,
    /// Whether they write rows that are the same everywhere.
    pub(crate) writes_reference: bool,
    /// Sites that were chosen for what does not say whose rows it means.
    pub(crate) undecided: Vec<SiteAt>,
    /// Whether nobody can tell what a statement leaves behind on its connection.
    pub(crate) taints: bool,
}

/// Where statements run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    /// At any site: they concern nobody, and nothing that is at one site only.
    Anywhere,
    /// At this site.
    At {
        site: SiteAt,
        /// The people whose home it is.
        people: Vec<String>,
        /// Those of them who are about to leave it.
        under_way: Vec<String>,
    },
}

impl Needs {
    /// Adds what a statement needs. `subject` is the person whom the session or a comment names.
    pub(crate) fn add(
        &mut self,
        schema: &Schema,
        statement: &Statement,
        values: &Values<'_>,
        subject: Option<&str>,
    ) -> Result<()> {
        let Command::Query(about) = &statement.command else { return Ok(()) };
        let subject = statement.subject.as_deref().or(subject);
        if let (Ok(about), None) = (about, subject) {
            self.undecided.extend(&about.undecided);
        }
        if let Some(subject) = subject {
            self.add_who(Who::Person(subject.to_owned()));
        }
        match (about, subject) {
            (Ok(about), _) => self.add_about(schema, about, values),
            (Err(_), Some(_)) => {
                self.taints = true;
                Ok(())
            }
            (Err(why), None) => Err(Error::new(
                Kind::Undecided,
                format!("the router cannot tell where this statement belongs: {why}"),
            )
            .hint(
                "name the person's key in the statement, or in the setting or comment \
                 domicile.subject",
            )),
        }
    }

    fn add_about(&mut self, schema: &Schema, about: &About, values: &Values<'_>) -> Result<()> {
        self.internal |= about.internal;
        self.writes_reference |= about.writes_reference;
        for handle in &about.people {
            if let Some(who) = who(schema, handle, values)? {
                self.add_who(who);
            }
        }
        for sign_up in &about.sign_ups {
            let already = match key_of(schema, sign_up) {
                Some(handle) => who(schema, &handle, values)?.map(Box::new),
                None => None,
            };
            self.who.push(Who::New { row: row(schema, sign_up, values), already });
        }
        Ok(())
    }

    fn add_who(&mut self, who: Who) {
        if !self.who.contains(&who) {
            self.who.push(who);
        }
    }

    /// Finds the site, asking for people who are not known here.
    pub(crate) async fn find(&self, homes: &Homes, fixed: &Fixed) -> Result<Where> {
        let mut at = Found::default();
        if self.internal {
            at.add(fixed.internal)?;
        }
        if self.writes_reference {
            at.add(fixed.reference)?;
        }
        for site in &self.undecided {
            at.add(*site)?;
        }
        for who in &self.who {
            match who {
                Who::New { row, already } => {
                    let is_known = match already {
                        Some(already) => at.add_who(homes, already).await?,
                        None => false,
                    };
                    if !is_known {
                        at.add(homes.sites().place(row))?;
                    }
                }
                who => {
                    at.add_who(homes, who).await?;
                }
            }
        }
        Ok(match at.site {
            Some(site) => Where::At { site, people: at.people, under_way: at.under_way },
            None => Where::Anywhere,
        })
    }
}

/// Sites that do not depend on people.
pub(crate) struct Fixed {
    /// Where tables stand that belong to nobody.
    pub(crate) internal: SiteAt,
    /// Where rows that are the same everywhere are written.
    pub(crate) reference: SiteAt,
}

#[derive(Default)]
struct Found {
    site: Option<SiteAt>,
    people: Vec<String>,
    under_way: Vec<String>,
}

impl Found {
    fn add(&mut self, site: SiteAt) -> Result<()> {
        if *self.site.get_or_insert(site) == site {
            return Ok(());
        }
        Err(Error::new(Kind::Apart, "the statement concerns rows that are at different sites")
            .hint("ask for each person by themselves, and for rows of nobody on their own"))
    }

    /// Adds somebody who has a home; says whether there is such a person.
    async fn add_who(&mut self, homes: &Homes, who: &Who) -> Result<bool> {
        match who {
            Who::Person(subject) => self.add_person(homes, subject).await,
            Who::OwnerOf { table, columns, values } => {
                let mut is_known = false;
                for subject in homes.sites().owners(*table, columns, values).await? {
                    is_known |= self.add_person(homes, &subject).await?;
                }
                Ok(is_known)
            }
            Who::New { .. } => Ok(false),
        }
    }

    /// Whom no site knows has no rows anywhere: any site says so.
    async fn add_person(&mut self, homes: &Homes, subject: &str) -> Result<bool> {
        if self.people.iter().any(|known| known == subject) {
            return Ok(true);
        }
        let Some(home) = homes.find(subject).await? else { return Ok(false) };
        self.add(home.site)?;
        self.people.push(subject.to_owned());
        if home.is_under_way {
            self.under_way.push(subject.to_owned());
        }
        Ok(true)
    }
}

/// The root's row with a new person's key; `None` where the row does not name the whole of it.
fn key_of(schema: &Schema, sign_up: &SignUp) -> Option<Handle> {
    let root = schema.table(schema.root());
    let named = |column: &String| sign_up.row.iter().find(|(name, _)| name == column);
    let values = root.primary_key().iter().map(|column| Some(named(column)?.1.clone()));
    Some(Handle {
        table: schema.root(),
        columns: root.primary_key().to_vec(),
        values: values.collect::<Option<_>>()?,
    })
}

/// Whom a handle means; `None` where a value is NULL, which no row equals.
fn who(schema: &Schema, handle: &Handle, values: &Values<'_>) -> Result<Option<Who>> {
    let table = schema.table(handle.table);
    let mut texts = Vec::with_capacity(handle.values.len());
    let mut is_known = handle.table == schema.root() && handle.columns == table.primary_key();
    for (column, operand) in handle.columns.iter().zip(&handle.values) {
        let Some(sent) = sent(operand, values)? else { return Ok(None) };
        match sent.as_key(table.key_type(column)) {
            KeyText::Known(text) => texts.push(text),
            KeyText::Ask(text) => {
                is_known = false;
                texts.push(text);
            }
            KeyText::Unreadable => {
                return Err(Error::new(
                    Kind::Undecided,
                    format!("the value for {column} comes in a form that the router cannot read"),
                )
                .hint("send it as text, or as the column's own type"));
            }
        }
    }
    Ok(Some(if is_known {
        Who::Person(key::subject(&texts))
    } else {
        Who::OwnerOf { table: handle.table, columns: handle.columns.clone(), values: texts }
    }))
}

/// What is known of a new person's row.
fn row(schema: &Schema, sign_up: &SignUp, values: &Values<'_>) -> Vec<(String, Option<String>)> {
    let table = schema.table(schema.root());
    let known = sign_up.row.iter().filter_map(|(column, operand)| {
        let text = match sent(operand, values).ok()? {
            None => None,
            Some(sent) => match sent.as_key(table.key_type(column)) {
                KeyText::Known(text) | KeyText::Ask(text) => Some(text),
                KeyText::Unreadable => return None,
            },
        };
        Some((column.clone(), text))
    });
    known.collect()
}

/// An operand's value; `None` for NULL.
fn sent<'a>(operand: &'a Operand, values: &Values<'a>) -> Result<Option<Sent<'a>>> {
    match operand {
        Operand::Constant { text, .. } => Ok(Some(Sent::constant(text))),
        Operand::Parameter(number) => {
            let value = values.bind.as_ref().and_then(|bind| bind.parameter(*number));
            let Some((value, is_binary)) = value else {
                return Err(Error::new(Kind::Client, format!("there is no parameter ${number}"))
                    .with_code("42P02"));
            };
            Ok(value.map(|bytes| Sent::parameter(bytes, is_binary, values.types, *number)))
        }
    }
}
