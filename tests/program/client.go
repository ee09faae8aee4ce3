// client PORT CA CURVES CERTIFICATE [ALPN]: two connections of Go's crypto/tls, one after the other, with one cache of
// sessions. CERTIFICATE is a file with key and certificate, or - for none.
// For each a line: version, suite, whether it was resumed, application protocol; then what the server said.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

func main() {
	pem, err := os.ReadFile(os.Args[2])
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		fmt.Println("no authority")
		os.Exit(1)
	}
	config := &tls.Config{
		RootCAs:            roots,
		ServerName:         "localhost",
		NextProtos:         os.Args[5:],
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
	}
	if os.Args[4] != "-" {
		pair, err := tls.LoadX509KeyPair(os.Args[4], os.Args[4])
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	for _, curve := range strings.Split(os.Args[3], ",") { // Go sends a share of the first alone
		number, _ := strconv.Atoi(curve)
		config.CurvePreferences = append(config.CurvePreferences, tls.CurveID(number))
	}
	for i := 0; i < 2; i++ {
		conn, err := tls.Dial("tcp", "127.0.0.1:"+os.Args[1], config)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Fprintln(conn, "hello")
		said, err := io.ReadAll(conn)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		state := conn.ConnectionState()
		fmt.Printf("%x %s %t %q\n%s", state.Version, tls.CipherSuiteName(state.CipherSuite), state.DidResume,
			state.NegotiatedProtocol, said)
		conn.Close()
	}
}
