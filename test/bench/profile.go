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
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// profileCPU records where the proxy spends its CPU time, if that was asked
// for. What it returns waits for the end and adds a profile of the heap.
func (b *bench) profileCPU(when string, length time.Duration) (finish func()) {
	if b.options.profile == "" {
		return func() {}
	}
	name := fmt.Sprintf("%s-%s-%s", b.name, b.size, when)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.fetch(name+"-cpu", fmt.Sprintf("profile?seconds=%d", int(length.Seconds())))
	}()
	return func() {
		<-done
		b.fetch(name+"-heap", "heap")
		b.fetch(name+"-allocs", "allocs")
	}
}

// fetch keeps a profile; a proxy that does not offer it is only reported.
func (b *bench) fetch(file, profile string) {
	transport := &http.Transport{DialContext: func(_ context.Context, network, address string) (conn net.Conn, err error) {
		err = b.node.Do(func() error {
			conn, err = net.Dial(network, address)
			return err
		})
		return conn, err
	}}
	defer transport.CloseIdleConnections()
	get := func() (*http.Response, error) {
		return (&http.Client{Transport: transport}).Get("http://" + pprofAddress + "/debug/pprof/" + profile)
	}
	response, err := get()
	for patience := 500; errors.Is(err, unix.ECONNREFUSED) && patience > 0; patience-- {
		time.Sleep(2 * time.Millisecond) // it has just been started
		response, err = get()
	}
	if err != nil {
		progress("no profile %s: %v", file, err)
		return
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", response.Status)
	}
	if err == nil {
		err = os.MkdirAll(b.options.profile, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(b.options.profile, file+".pprof"), body, 0o644)
	}
	if err != nil {
		progress("no profile %s: %v", file, err)
	}
}
