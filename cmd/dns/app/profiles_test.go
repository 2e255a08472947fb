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

package app

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"switchyard.dev/switchyard/internal/command"
)

func TestProfilesAreServedOnLoopbackAlone(t *testing.T) {
	for directive, sound := range map[string]bool{
		"pprof": true, "pprof localhost:6053": true, "pprof 127.0.0.1:1": true, "pprof [::1]:1": true, "pprof {\n block\n }": true,
		"pprof :6053": false, "pprof 0.0.0.0:6053": false, "pprof [::]:6053": false, "pprof 192.0.2.1:6053": false, "pprof node:6053 {\n block\n }": false,
	} {
		o := options{config: writeFile(t, "Corefile", ".:53 {\n whoami\n}\nexample.com:53 {\n "+directive+"\n whoami\n}\n")}
		if _, err := o.corefile(); (err == nil) != sound {
			t.Errorf("%q: %v", directive, err)
		}
	}
	code, _, stderr := output("--config", writeFile(t, "Corefile", ".:53 {\n pprof :6053\n}\n"))
	if code != command.Misuse || !strings.Contains(stderr, ":2: pprof at :6053") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestTheFlagForProfiles(t *testing.T) {
	for args, want := range map[string]bool{"--print-config": false, "--print-config --profiling": true} {
		_, got, _ := output(strings.Fields(args)...)
		if strings.Contains(got, "\n    pprof 127.0.0.1:6053\n") != want {
			t.Errorf("%s: %s", args, got)
		}
	}
}

func TestProfilesAreServedIfTheCorefileSaysSo(t *testing.T) {
	port, profiles := freePort(t), freePort(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	corefile := fmt.Sprintf(".:%s {\n bind 127.0.0.1\n pprof 127.0.0.1:%s\n whoami\n}\n", port, profiles)
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, &options{config: writeFile(t, "Corefile", corefile)}) }()
	for page := ""; !strings.HasPrefix(page, fmt.Sprint(http.StatusOK)) || !strings.Contains(page, "goroutine "); {
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(5 * time.Millisecond):
		}
		page = get(profiles, "/debug/pprof/goroutine?debug=2")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
