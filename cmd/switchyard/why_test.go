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

package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"switchyard.dev/switchyard/internal/diagnosis"
	"switchyard.dev/switchyard/internal/why"
)

// What another process says of an agent's page is an answer, or that nobody is
// there, or nothing at all.
func TestPagesOfAgentsByTheirErrors(t *testing.T) {
	const page = "http://127.0.0.1:10256/livez"
	for text, want := range map[string]int{page + ": 503 Service Unavailable": 503, page + ": 404 Not Found": 404, "": 200} {
		var err error
		if text != "" {
			err = errors.New(text)
		}
		if code, err := pageCode(err); code != want || err != nil {
			t.Errorf("%q: code %d, %v", text, code, err)
		}
	}
	refused := errors.New(`Get "` + page + `": dial tcp 127.0.0.1:10256: connect: connection refused`)
	if _, err := pageCode(refused); !errors.Is(err, why.ErrDown) {
		t.Errorf("nobody is there: %v", err)
	}
	for _, text := range []string{"setns: operation not permitted", `Get "` + page + `": context deadline exceeded`, "no node node-9"} {
		if code, err := pageCode(errors.New(text)); code != 0 || err == nil || errors.Is(err, why.ErrDown) {
			t.Errorf("%q: code %d, %v", text, code, err)
		}
	}
}

// A question about a client is not answered by what is said for anybody.
func TestExitCodesOfWhy(t *testing.T) {
	unseen := &diagnosis.ClientName{Address: "10.1.1.9", Unseen: "you may not list the pods of all namespaces"}
	pods := []diagnosis.Step{{Check: diagnosis.CheckSelector, State: diagnosis.Unknown}}
	for name, tc := range map[string]struct {
		report diagnosis.Report
		want   int
	}{
		"it answers":                  {diagnosis.Report{Verdict: diagnosis.Verdict{State: diagnosis.OK}}, 0},
		"something else was not seen": {diagnosis.Report{Verdict: diagnosis.Verdict{State: diagnosis.Unknown}}, 0},
		"endpoints were not seen":     {diagnosis.Report{Steps: pods, Verdict: diagnosis.Verdict{State: diagnosis.Unknown}}, exitTrouble},
		"it changed just now":         {diagnosis.Report{Steps: pods, Verdict: diagnosis.Verdict{State: diagnosis.Unknown, Reason: diagnosis.ChangedJustNow}}, exitTrouble},
		"the client was not seen":     {diagnosis.Report{Client: unseen, Verdict: diagnosis.Verdict{State: diagnosis.Unknown}}, exitTrouble},
		"a client that was seen":      {diagnosis.Report{Client: &diagnosis.ClientName{Node: "n1"}, Verdict: diagnosis.Verdict{State: diagnosis.Unknown}}, 0},
		"a warning":                   {diagnosis.Report{Verdict: diagnosis.Verdict{State: diagnosis.Warning}}, exitFound},
		"a problem that anybody has":  {diagnosis.Report{Client: unseen, Verdict: diagnosis.Verdict{State: diagnosis.Problem}}, exitFound},
	} {
		code := 0
		if exit, is := errors.AsType[*exitError](whyCode(&why.Answer{Report: &tc.report})); is {
			code = exit.code
		}
		if code != tc.want {
			t.Errorf("%s: exit code %d, want %d", name, code, tc.want)
		}
	}
}

func TestTheAPIServersClock(t *testing.T) {
	for _, ahead := range []time.Duration{-5 * time.Minute, 0, 2 * time.Hour} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		}))
		var clock serverClock
		client := http.Client{Transport: clock.watch(http.DefaultTransport)}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if off := clock.now().Sub(time.Now().Add(ahead)).Abs(); off > time.Minute {
			t.Errorf("a server that is ahead by %s: %s off", ahead, off)
		}
		server.Close()
	}
}
