#include <doctest/doctest.h>

#include "test/doubles/export_world.h"
#include "test/doubles/mutant.h"

using namespace moveout;
using namespace moveout::backfill;
using test::ExportMade;
using test::ExportWorld;
using test::item_line;
using test::Read;
using test::small_export;

#ifdef MOVEOUT_MUTANTS
TEST_CASE("every mutant of the reading of exports is noticed here") {
  const ExportConfig config{.find = {.root = "pre/fix/"}};
  SUBCASE("an MD5 that nobody looks at lets another file's items in") {
    const test::Mutant mutant("md5_unchecked");
    ExportWorld world;
    const ExportMade made = small_export();
    test::put_export(world.objects.files, made);
    world.objects.files[made.key(0)] = test::gzip_of(item_line(7) + item_line(8));
    CHECK(world.read_all(config).has_value());
  }
  SUBCASE("counts that nobody compares let a cut file pass for a whole one") {
    const test::Mutant mutant("export_count_unchecked");
    ExportWorld world;
    ExportMade made = small_export();
    test::put_export(world.objects.files, made);
    const std::string fewer = test::gzip_of(item_line(1));
    world.objects.files[made.key(0)] = fewer;
    test::put_with_md5(world.objects.files, made.folder() + "manifest-files.json",
                       test::files_line(made.key(0), 2, fewer) +
                           test::files_line(made.key(1), 0, world.objects.files[made.key(1)]) +
                           test::files_line(made.key(2), 1, world.objects.files[made.key(2)]));
    CHECK(world.read_all(config)->size() == 2);
  }
  SUBCASE("a place that is one byte too far loses an item, or reads none that is whole") {
    ExportMade made;
    made.files = {""};
    for (int i = 0; i < 3000; ++i) made.files[0] += item_line(i, 1000);
    ExportWorld world;
    test::put_export(world.objects.files, made);
    std::multimap<std::string, Read> whole;
    std::vector<std::string> ats;
    auto source = world.source(config);
    REQUIRE(world.read(**source, 0, {}, whole, &ats).has_value());
    const test::Mutant mutant("export_resume_off_by_one");
    std::multimap<std::string, Read> rest;
    CHECK(!world.read(**source, 0, ats.front(), rest).has_value());
  }
  SUBCASE("a chain with a hole passes") {
    const test::Mutant mutant("chain_hole_passes");
    ExportSummary first;
    first.incremental = true;
    first.to = base::instant_of_micros(10);
    ExportSummary second = first;
    second.from = base::instant_of_micros(11);
    second.to = base::instant_of_micros(20);
    CHECK(check_chain({first, second}, std::nullopt).has_value());
  }
}
#endif
