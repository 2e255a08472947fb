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

package localcluster

import (
	"fmt"
	"net"
	"os"
	"os/exec"

	"switchyard.dev/switchyard/internal/localcluster/runner/image"
	"switchyard.dev/switchyard/internal/localcluster/state"
	"switchyard.dev/switchyard/internal/localcluster/supervisor"
	"switchyard.dev/switchyard/internal/version"
)

// begin starts the cluster's init.
func (u *upper) begin(lock *state.Lock, binaries supervisor.Binaries) error {
	if err := u.dir.Prepare(); err != nil {
		return err
	}
	images, err := image.Load(u.options.Images, u.dir.Images())
	if err != nil {
		return err
	}
	api, err := listenAPI(u.options.Port)
	if err != nil {
		return err
	}
	defer func() { _ = api.Close() }()
	commands, err := listenControl(u.dir.Socket())
	if err != nil {
		return err
	}
	defer func() { _ = commands.Close() }()
	config := supervisor.Config{
		State: u.dir, Nodes: u.options.Nodes, Zones: u.options.Zones,
		Port: api.Addr().(*net.TCPAddr).Port, Wait: u.options.Wait, Binaries: binaries,
		Software: u.options.Software, Images: images,
	}
	if err := u.startInit(config, lock, api, commands); err != nil {
		return err
	}
	return u.record(config)
}

func (u *upper) startInit(config supervisor.Config, lock *state.Lock, api *net.TCPListener, commands *net.UnixListener) error {
	encoded, err := config.Encode()
	if err != nil {
		return err
	}
	inherited := supervisor.Inherited{Lock: lock.File}
	defer func() { closeAll(inherited.API, inherited.Control, inherited.Events, inherited.Lifeline) }()
	if inherited.API, err = api.File(); err != nil {
		return err
	}
	if inherited.Control, err = commands.File(); err != nil {
		return err
	}
	if u.events, inherited.Events, err = os.Pipe(); err != nil {
		return err
	}
	if inherited.Lifeline, u.lifeline, err = os.Pipe(); err != nil {
		return err
	}
	log, err := os.OpenFile(u.dir.Log(supervisorLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the switchyard program: %w", err)
	}
	u.init = exec.Command(self, supervisor.InitCommand, encoded)
	u.init.Env = withoutProxies(os.Environ())
	u.init.Stdout, u.init.Stderr = log, log
	u.init.ExtraFiles = inherited.Files()
	u.init.SysProcAttr = inNewNamespaces()
	if err := u.init.Start(); err != nil {
		return explainRefusal(err, os.Geteuid(), kernelSetting)
	}
	return nil
}

// supervisorLog is the log of the cluster's init and supervisor.
const supervisorLog = "supervisor"

func (u *upper) record(config supervisor.Config) error {
	pid := u.init.Process.Pid
	started, err := state.StartTime(pid)
	if err != nil {
		return u.endedEarly()
	}
	return u.dir.WriteRecord(state.Record{
		PID: pid, StartTime: started, Nodes: config.Nodes, Zones: config.Zones, Port: config.Port, Version: version.String(),
		Software: config.Software,
	})
}

// abandon ends what begin may have started.
func (u *upper) abandon(lock *state.Lock) error {
	defer func() { _ = lock.Close() }()
	if u.init != nil && u.init.Process != nil {
		_ = u.init.Process.Kill()
		_ = u.init.Wait()
	}
	closeAll(u.lifeline, u.events)
	return u.dir.Remove()
}

func closeAll(files ...*os.File) {
	for _, file := range files {
		if file != nil {
			_ = file.Close()
		}
	}
}
