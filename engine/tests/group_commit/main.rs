//! Group commit, sentence by sentence, against a writer whose every reply the test gives. Time stands still unless a test
//! moves it, or waits for what only time brings.

mod bad_data;
mod batches;
mod bench;
mod close;
mod deadlines;
mod drops;
mod log;
mod mates;
mod random;
mod ready;
mod resend;
mod twins;
mod writer_faults;
