// Publishes what standard input describes with franz-go; used by tests/integration/test_kafka_foreign_clients.py.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/twmb/franz-go/pkg/kgo"
)

type record struct {
	Key     []byte            `json:"key"`
	Value   []byte            `json:"value"`
	Headers map[string][]byte `json:"headers"`
}

// A group of records that one producer sends: Mode is plain, idempotent, commit or abort.
type group struct {
	Name    string   `json:"name"`
	Codec   string   `json:"codec"`
	Mode    string   `json:"mode"`
	Records []record `json:"records"`
}

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func publish(address, topic string, sent group) {
	options := []kgo.Opt{
		kgo.SeedBrokers(address), kgo.DefaultProduceTopic(topic),
		kgo.ProducerBatchCompression(codecs[sent.Codec]), kgo.ProducerBatchMaxBytes(8 << 20),
	}
	isTransaction := sent.Mode == "commit" || sent.Mode == "abort"
	if isTransaction {
		options = append(options, kgo.TransactionalID(sent.Name))
	} else if sent.Mode == "plain" {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	client, err := kgo.NewClient(options...)
	check(err)
	defer client.Close()
	background := context.Background()
	if isTransaction {
		check(client.BeginTransaction())
	}
	var records []*kgo.Record
	for _, one := range sent.Records {
		made := &kgo.Record{Key: one.Key, Value: one.Value}
		for name, value := range one.Headers {
			made.Headers = append(made.Headers, kgo.RecordHeader{Key: name, Value: value})
		}
		records = append(records, made)
	}
	check(client.ProduceSync(background, records...).FirstErr())
	if isTransaction {
		check(client.EndTransaction(background, kgo.TransactionEndTry(sent.Mode == "commit")))
	}
}

func main() {
	var groups []group
	check(json.NewDecoder(os.Stdin).Decode(&groups))
	for _, sent := range groups {
		publish(os.Args[1], os.Args[2], sent)
	}
}
