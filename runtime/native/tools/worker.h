// The worker of a measurement: speaks the contract of bench/targets/contract.py over standard input and output.
#pragma once

// A Job, then "run" as often as wanted, then "stop". The exit code.
int serve();
