//! As much of a Kafka client as the tests here need, and the topic that they use.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    CreateTopicsRequest, DescribeConfigsRequest, FetchRequest, FindCoordinatorRequest, MetadataRequest,
    MetadataResponse, ProduceRequest, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{
    Decodable, HeaderVersion, Request, StrBytes, encode_request_header_into_buffer,
};
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

pub(crate) const TOPIC: &str = "topic";

/// As Kafka numbers its errors.
const NOT_LEADER: i16 = 6;

const UNKNOWN_END: i64 = -1;

/// A topic resource of a request for settings.
const OF_TOPIC: i8 = 2;

/// Sends a request, and does not wait.
pub(crate) fn send<R: Request>(server: SocketAddr, request: &R, version: i16) -> Result<TcpStream> {
    let header = RequestHeader::default().with_request_api_key(R::KEY).with_request_api_version(version);
    let mut message = BytesMut::new();
    encode_request_header_into_buffer(&mut message, &header).map_err(Error::other)?;
    request.encode(&mut message, version).map_err(Error::other)?;
    let mut connection = TcpStream::connect(server)?;
    let length = u32::try_from(message.len()).map_err(Error::other)?;
    connection.write_all(&[&length.to_be_bytes()[..], &message].concat())?;
    Ok(connection)
}

/// Waits for what a request is answered.
pub(crate) fn answer<R: Request>(mut connection: TcpStream, version: i16) -> Result<R::Response> {
    let mut length = [0; 4];
    connection.read_exact(&mut length)?;
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    connection.read_exact(&mut message)?;
    let mut message = Bytes::from(message);
    ResponseHeader::decode(&mut message, R::Response::header_version(version)).map_err(Error::other)?;
    let answer = R::Response::decode(&mut message, version).map_err(Error::other)?;
    assert!(!message.has_remaining(), "all of the answer is understood");
    Ok(answer)
}

fn ask<R: Request>(server: SocketAddr, request: &R, version: i16) -> Result<R::Response> {
    answer::<R>(send(server, request, version)?, version)
}

pub(crate) const METADATA_VERSION: i16 = 5;

/// Asks for the cluster and for all its topics.
pub(crate) fn metadata_request() -> MetadataRequest {
    MetadataRequest::default().with_topics(None)
}

pub(crate) fn metadata(server: SocketAddr) -> MetadataResponse {
    ask(server, &metadata_request(), METADATA_VERSION).expect("it answers")
}

/// Names the topic as one that would be made where that is allowed, and returns the error's number.
pub(crate) fn name_topic(server: SocketAddr) -> i16 {
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name()));
    let request =
        MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true);
    ask(server, &request, METADATA_VERSION).expect("it answers").topics[0].error_code
}

/// Makes the topic, of one partition.
pub(crate) fn create_topic(server: SocketAddr) {
    let topic =
        CreatableTopic::default().with_name(topic_name()).with_num_partitions(1).with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(60_000);
    let answer = ask(server, &request, 4).expect("it answers");
    assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
    // The metadata may name the leader before it knows by itself that it is.
    while !is_led(server) || fetch(server, 0).is_err() {
        std::thread::yield_now();
    }
}

fn is_led(server: SocketAddr) -> bool {
    let found = metadata(server);
    found.topics.iter().flat_map(|topic| &topic.partitions).any(|partition| partition.error_code == 0)
}

/// What a setting of the topic is.
pub(crate) fn setting(server: SocketAddr, name: &'static str) -> String {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(OF_TOPIC)
        .with_resource_name(StrBytes::from_static_str(TOPIC))
        .with_configuration_keys(Some(vec![StrBytes::from_static_str(name)]));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let answer = ask(server, &request, 1).expect("it answers");
    let value = answer.results[0].configs[0].value.as_ref();
    value.expect("it has a value").to_string()
}

/// Asks who is responsible for a group, and returns the error's number.
pub(crate) fn coordinator_error(server: SocketAddr) -> i16 {
    let request = FindCoordinatorRequest::default().with_key(StrBytes::from_static_str("group"));
    ask(server, &request, 2).expect("it answers").error_code
}

/// The offset of a record that is acknowledged; an error where it is not.
pub(crate) fn produce(server: SocketAddr, value: &str) -> Result<i64> {
    let mut batch = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut batch, [&record(value)], &options).map_err(Error::other)?;
    let partition = PartitionProduceData::default().with_records(Some(batch.freeze()));
    let topic = TopicProduceData::default().with_name(topic_name()).with_partition_data(vec![partition]);
    let request =
        ProduceRequest::default().with_acks(-1).with_timeout_ms(60_000).with_topic_data(vec![topic]);
    let answer = ask(server, &request, 8)?;
    let answer = &answer.responses[0].partition_responses[0];
    if answer.error_code == 0 { Ok(answer.base_offset) } else { Err(refused(answer.error_code)) }
}

fn record(value: &str) -> Record {
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: -1,
        timestamp: 0,
        key: None,
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: IndexMap::new(),
    }
}

/// All records of the topic: their offsets and values.
pub(crate) fn fetch_all(server: SocketAddr) -> Vec<(i64, String)> {
    let mut all: Vec<(i64, String)> = Vec::new();
    loop {
        let next = all.last().map_or(0, |(offset, _)| offset + 1);
        let (records, end) = fetch(server, next).expect("it answers");
        let from_next = records.into_iter().filter(|record| record.offset >= next);
        all.extend(from_next.map(|record| (record.offset, text(&record))));
        if all.last().map_or(0, |(offset, _)| offset + 1) == end {
            return all;
        }
    }
}

/// The next records, and the offset at which the topic ends.
fn fetch(server: SocketAddr, from: i64) -> Result<(Vec<Record>, i64)> {
    const BYTES_MAX: i32 = 1 << 20;
    let partition = FetchPartition::default().with_fetch_offset(from).with_partition_max_bytes(BYTES_MAX);
    let topic = FetchTopic::default().with_topic(topic_name()).with_partitions(vec![partition]);
    let request = FetchRequest::default().with_max_bytes(BYTES_MAX).with_topics(vec![topic]);
    let answer = ask(server, &request, 4)?;
    let partition = &answer.responses[0].partitions[0];
    match partition.error_code {
        0 => {}
        // It has just started: the broker leads the partition in a moment.
        NOT_LEADER => return Ok((Vec::new(), UNKNOWN_END)),
        number => return Err(refused(number)),
    }
    let mut batches = partition.records.clone().unwrap_or_default();
    let sets = RecordBatchDecoder::decode_all(&mut batches).map_err(Error::other)?;
    Ok((sets.into_iter().flat_map(|set| set.records).collect(), partition.high_watermark))
}

fn text(record: &Record) -> String {
    String::from_utf8(record.value.clone().expect("it has a value").to_vec()).expect("it is text")
}

fn topic_name() -> TopicName {
    TopicName(StrBytes::from_static_str(TOPIC))
}

fn refused(number: i16) -> Error {
    Error::new(ErrorKind::InvalidData, format!("Kafka's error {number}"))
}
