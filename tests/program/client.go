// client PORT CA CURVE [ALPN]: two connections of Go's crypto/tls, one after the other, with one cache of sessions.
// For each a line: version, suite, whether it was resumed, application protocol, and what the server said first.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strconv"
)

func main() {
	pem, err := os.ReadFile(os.Args[2])
	curve, _ := strconv.Atoi(os.Args[3])
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		fmt.Println("no authority")
		os.Exit(1)
	}
	config := &tls.Config{
		RootCAs:            roots,
		ServerName:         "localhost",
		NextProtos:         os.Args[4:],
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
		// Go sends a share of the first alone
		CurvePreferences: []tls.CurveID{tls.CurveID(curve), tls.X25519, tls.CurveP256},
	}
	for i := 0; i < 2; i++ {
		conn, err := tls.Dial("tcp", "127.0.0.1:"+os.Args[1], config)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Fprintln(conn, "a line from Go")
		said := bufio.NewReader(conn)
		line, err := said.ReadString('\n')
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		state := conn.ConnectionState()
		fmt.Printf("%x %s %t %q %s", state.Version, tls.CipherSuiteName(state.CipherSuite), state.DidResume,
			state.NegotiatedProtocol, line)
		conn.Close()
	}
}
