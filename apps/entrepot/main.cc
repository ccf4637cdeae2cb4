#include "command.h"

int main(int argc, char** argv) { return entrepot::cli::run(argc, argv); }
