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

package sctp

// PreferPort has all clients try that port first, until restore is called.
func PreferPort(port uint16) (restore func()) {
	before := anyPort
	anyPort = func() uint16 { return port }
	return func() { anyPort = before }
}

// Stall keeps the listener's namespace from handling packets, as a machine does that
// has other work, until resume.
func (l *Listener) Stall() (resume func()) {
	l.stack.mu.Lock()
	return l.stack.mu.Unlock
}
