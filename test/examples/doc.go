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

// Package examples reads docs/examples/broken and docs/examples/sound: Services
// with what `switchyard why` has to say of them and what connections to them come
// to. The end-to-end tests hold the program and the cluster to both.
//
// A file begins with comments. The first lines say for people what is special.
// The others are for tests, one thing each:
//
//	why: SERVICE [--from CLIENT]           what is asked
//	verdict: STATE REASON                  what is answered; ok without this line
//	says: WORDS                            a part of the verdict's sentence
//	delete: KIND NAME [once Ready]         what is deleted before it is asked
//	later: WHY                             the verdict takes a minute, and why
//	refused: WORDS                         how Switchyard's admission refuses it
//	connect: FROM SERVICE[@WHERE]:PORT [PROTOCOL] OUTCOME
//	no connection: WHY                     why none is made
//
// FROM is a pod, NAMESPACE/POD, a node or outside. WHERE is a node, for its
// NodePort, or lb, external, IPv6 or pod; without it the ClusterIP is asked.
// PROTOCOL is http unless said. OUTCOME is answered, refused, timeout, or some if
// only some of the connections are answered.
//
// The objects are for a namespace of the file's name, unless they name another.
package examples
