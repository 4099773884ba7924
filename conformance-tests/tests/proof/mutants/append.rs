//! Broken stores for the area `append`.

use super::Mutant;

mod checks;
mod conditions;
mod expected;
mod invalid;
mod queries;
mod receipts;
mod refusals;
mod several;
mod verdicts;
mod versions;

pub const PARTS: &[&[Mutant]] = &[
    versions::MUTANTS,
    receipts::MUTANTS,
    expected::MUTANTS,
    refusals::MUTANTS,
    checks::MUTANTS,
    conditions::MUTANTS,
    queries::MUTANTS,
    verdicts::MUTANTS,
    invalid::MUTANTS,
    several::MUTANTS,
];
