#include "app/program.h"

int main(int argc, char** argv) { return moveout::app::run_program(argc, argv); }
