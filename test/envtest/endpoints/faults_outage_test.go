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

package endpoints

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
)

var _ = Describe("An API server", Serial, func() {
	// outage is long enough for watches, and what is tried again, to have failed a few
	// times. They come back as much later as it lasts, up to half a minute.
	const outage = 3 * time.Second

	It("that is away in the middle of an update and comes back finds everything as it should be", func(ctx SpecContext) {
		bad := startBehindFaults()
		s := newScene(ctx)
		s.observe("web", s.crowd(12)[:9]...)
		s.observe("db", s.custom()...)
		server := apiServer()
		By("killing it when the second of many writes comes")
		killed := make(chan struct{})
		bad.set(func(f *faults) { f.dead = true }) // until all is changed
		s.change()
		bad.set(func(f *faults) {
			f.dead, f.writes = false, 0
			f.refuse = func(writes int) int {
				if writes == 1 {
					defer close(killed)
					if err := server.kill(); err != nil {
						return 500
					}
				}
				return 0
			}
		})
		Eventually(killed).Should(BeClosed())
		Eventually(server.answers).WithArguments(ctx).Should(BeFalse())
		time.Sleep(outage)

		By("starting it again")
		server.start()
		Eventually(server.answers).WithArguments(ctx).Should(BeTrue())
		back := time.Now()
		s.expectTheEnd()
		AddReportEntry("all right after an outage", fmt.Sprintf("%s after the end of %s", time.Since(back).Round(time.Millisecond), outage),
			ReportEntryVisibilityAlways)
		// Every watch is there again.
		s.setReady("web-13", corev1.ConditionFalse)
		Eventually(s.endpoints("web")).Should(ContainElement(endpoint{"10.1.0.13", 8080, down}))
	})
})

// apiProcess is a server that the environment has started.
type apiProcess struct {
	pid       int
	arguments []string
	clientset *kubernetes.Clientset
}

// restarted is the API server that has taken the environment's place.
var restarted *exec.Cmd

// apiServer is the child of this process that runs it.
func apiServer() *apiProcess {
	GinkgoHelper()
	clientset, err := kubernetes.NewForConfig(restConfig)
	Expect(err).NotTo(HaveOccurred())
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	Expect(err).NotTo(HaveOccurred())
	for _, path := range stats {
		var pid, parent int
		var name, state string
		text, _ := os.ReadFile(path) // It may have ended.
		if _, err := fmt.Sscan(string(text), &pid, &name, &state, &parent); err != nil || parent != os.Getpid() || name != "(kube-apiserver)" {
			continue
		}
		line, err := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		Expect(err).NotTo(HaveOccurred())
		return &apiProcess{pid, strings.Split(string(bytes.TrimRight(line, "\x00")), "\x00"), clientset}
	}
	Fail("no API server is a child of this process")
	return nil
}

func (p *apiProcess) kill() error {
	running, err := os.FindProcess(p.pid)
	if err != nil {
		return err
	}
	return running.Kill()
}

func (p *apiProcess) start() {
	GinkgoHelper()
	restarted = exec.Command(p.arguments[0], p.arguments[1:]...)
	Expect(restarted.Start()).To(Succeed())
}

func (p *apiProcess) answers(ctx context.Context) bool {
	return p.clientset.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil
}
