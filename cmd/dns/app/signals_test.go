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
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Clients still come for a while after Kubernetes has told the server to end.
func TestWhoAsksWhileItEndsIsAnswered(t *testing.T) {
	const lameduck = 4 * time.Second // a busy machine asks late
	port, health := freePort(t), freePort(t)
	corefile := writeFile(t, "Corefile", fmt.Sprintf(`.:%s {
		bind 127.0.0.1
		health 127.0.0.1:%s {
			lameduck %s
		}
		switchyard cluster.local {
			kubeconfig %s
			startup_timeout 1m
		}
	}`, port, health, lameduck, clusterKubeconfig(t)))
	p := launch(t, port, "--config="+corefile)
	told := time.Now()
	p.Signal(syscall.SIGTERM)
	p.Await(t, "it says that it ends", func() bool { return strings.Contains(p.Log(), "lameduck") })
	p.answers("when it says that it ends")
	for time.Since(told) < lameduck/2 {
		p.answers(fmt.Sprint(time.Since(told), " after SIGTERM"))
	}
	if code, took := p.ExitCode(), time.Since(told); code != 0 || took < lameduck {
		t.Errorf("exit code %d after %v", code, took)
	}
}

// askAll asks all the time until it is told to end, and says what was not answered.
func (p *program) askAll(over <-chan struct{}) (unanswered <-chan error) {
	result := make(chan error, 1)
	go func() {
		for {
			for _, network := range []string{"udp", "tcp"} {
				answer, err := p.ask(network, clusterName)
				if network == "tcp" && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)) {
					// The server that goes closes connections that it has taken
					// and not read from: CoreDNS's way to restart.
					answer, err = p.ask(network, clusterName)
				}
				if err == nil && len(answer.Answer) != 1 {
					err = fmt.Errorf("over %s: %v", network, answer)
				}
				if err != nil {
					result <- err
					return
				}
			}
			select {
			case <-over:
				result <- nil
				return
			default:
			}
		}
	}()
	return result
}

func TestTheConfigurationIsReadAgain(t *testing.T) {
	kubeconfig := clusterKubeconfig(t)
	for name, tc := range map[string]struct {
		line string
		tell func(*program)
	}{
		"on SIGUSR1":            {"", func(p *program) { p.Signal(syscall.SIGUSR1) }},
		"by the plugin, itself": {"reload 2s 0s", func(*program) {}},
	} {
		t.Run(name, func(t *testing.T) {
			port := freePort(t)
			corefile := func(ttl string) string {
				return fmt.Sprintf(".:%s {\n bind 127.0.0.1\n %s\n switchyard cluster.local {\n kubeconfig %s\n startup_timeout 1m\n ttl %s\n }\n}\n",
					port, tc.line, kubeconfig, ttl)
			}
			path := writeFile(t, "Corefile", corefile("5"))
			p := launch(t, port, "--config="+path)
			over := make(chan struct{})
			unanswered := p.askAll(over)
			ttl := func() uint32 {
				answer, err := p.ask("udp", clusterName)
				if err != nil || len(answer.Answer) == 0 {
					t.Fatalf("%v, %v", answer, err)
				}
				return answer.Answer[0].Header().Ttl
			}
			change := func(to string) {
				if err := os.WriteFile(path, []byte(corefile(to)), 0o600); err != nil {
					t.Fatal(err)
				}
				tc.tell(p)
			}
			change("never")
			p.Await(t, "it says what is wrong", func() bool { return strings.Contains(p.Log(), "not a number of seconds") })
			if got := ttl(); got != 5 {
				t.Errorf("with a wrong configuration the TTL is %d", got)
			}
			change("17")
			p.Await(t, "the new TTL is there", func() bool { return ttl() == 17 })
			p.Signal(syscall.SIGHUP) // which CoreDNS, too, takes no notice of
			p.answers("afterwards")
			close(over)
			if err := <-unanswered; err != nil {
				t.Errorf("meanwhile: %v", err)
			}
			p.Signal(syscall.SIGTERM)
			if code := p.ExitCode(); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}
