/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package control

import (
	"bytes"
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEventsArriveInOrderUpToTheLast(t *testing.T) {
	var pipe bytes.Buffer
	events := NewEvents(&pipe)
	sent := []Event{
		{Kind: Started, Step: "etcd"},
		{Kind: Done, Step: "etcd", Elapsed: time.Second},
		{Kind: Ready, Elapsed: 2 * time.Second},
		{Kind: Started, Step: "never shown"},
	}
	for _, e := range sent {
		events.Send(e)
	}
	var shown []Event
	last, err := ReadEvents(&pipe, func(e Event) { shown = append(shown, e) })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sent[:2], shown); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(sent[2], last); diff != "" {
		t.Errorf("last (-want +got):\n%s", diff)
	}
}

func TestASupervisorThatDiesIsNoticed(t *testing.T) {
	for name, written := range map[string]string{"between events": `{"kind":"started"}`, "within one": `{"kind":"sta`} {
		if _, err := ReadEvents(bytes.NewBufferString(written), func(Event) {}); !errors.Is(err, ErrEnded) {
			t.Errorf("%s: got %v, want ErrEnded", name, err)
		}
	}
}

func TestAskingOverTheSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	want := Status{Ready: true, PID: 7, Processes: []Component{{Name: "etcd", PID: 9}}}
	down := make(chan struct{})
	server := &Server{Status: func() Status { return want }, Down: func() { close(down) }}
	go func() { _ = server.Serve(listener) }()

	client := NewClient(path)
	got, err := client.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if err := client.Down(context.Background()); err != nil {
		t.Fatal(err)
	}
	<-down
}

func TestAskingNobodySaysSo(t *testing.T) {
	if _, err := NewClient(filepath.Join(t.TempDir(), "s")).Status(context.Background()); err == nil {
		t.Error("nobody answered without an error")
	}
}
